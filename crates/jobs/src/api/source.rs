//! Places that a tenant's pictures may be fetched from.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;
use utoipa::ToSchema;

use super::Invalid;
use crate::ids::SourceId;
use crate::source::Address;

/// A place to allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceRequest {
    /// What addresses in it begin with: scheme, host, port, and a folder or a file (`https://cdn.example/photos/`), or a bucket and the
    /// begin of its keys (`s3://photos/autumn/`).
    #[schema(
        min_length = 1,
        max_length = 2048,
        example = "https://cdn.example/photos/"
    )]
    pub place: String,
    /// Of a bucket: its S3 server, unless it is Amazon's.
    #[serde(default)]
    #[schema(max_length = 2048, example = "https://s3.shop.example")]
    pub endpoint: Option<Url>,
    /// Of a bucket: its region; `us-east-1` by default.
    #[serde(default)]
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[!-~]{1,64}$",
        example = "eu-central-1"
    )]
    pub region: Option<String>,
    /// Of a bucket: an access key that may read there, and nothing else.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-~]{1,256}$")]
    pub access_key: Option<String>,
    /// The access key's secret. It is never shown.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-~]{1,256}$")]
    pub secret_key: Option<String>,
}

impl SourceRequest {
    /// The place, where all of it fits together.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<Address, Invalid> {
        let place: Address = self
            .place
            .parse()
            .map_err(|error: crate::source::AddressError| {
                Invalid::new("place", error.to_string())
            })?;
        let long = |text: &Option<String>, most: usize| {
            text.as_ref().is_some_and(|text| {
                !(1..=most).contains(&text.len())
                    || !text.bytes().all(|byte| byte.is_ascii_graphic())
            })
        };
        for (name, text, most) in [
            ("region", &self.region, 64),
            ("access_key", &self.access_key, 256),
            ("secret_key", &self.secret_key, 256),
        ] {
            if long(text, most) {
                return Err(Invalid::new(
                    name,
                    format!("must have 1 to {most} characters of ASCII, none of them a space"),
                ));
            }
        }
        match place {
            Address::S3 { .. } => {
                if self.access_key.is_none() || self.secret_key.is_none() {
                    let says = "must be given: a bucket is read with credentials of its own, never with this service's";
                    return Err(Invalid::new("access_key", says));
                }
                let scheme = self.endpoint.as_ref().map(Url::scheme);
                if !matches!(scheme, None | Some("https" | "http")) {
                    return Err(Invalid::new(
                        "endpoint",
                        "must begin with https:// or http://",
                    ));
                }
            }
            Address::Web(ref url) => {
                if url.query().is_some() {
                    return Err(Invalid::new(
                        "place",
                        "has a query: name what comes before it",
                    ));
                }
                let given = [
                    ("endpoint", self.endpoint.is_some()),
                    ("region", self.region.is_some()),
                    ("access_key", self.access_key.is_some()),
                    ("secret_key", self.secret_key.is_some()),
                ];
                if let Some((name, _)) = given.into_iter().find(|(_, given)| *given) {
                    return Err(Invalid::new(name, "is for a bucket, s3://..."));
                }
            }
        }
        Ok(place)
    }
}

/// A place that pictures may be fetched from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceView {
    /// Id of the place.
    pub id: SourceId,
    /// What addresses in it begin with.
    #[schema(example = "https://cdn.example/photos/")]
    pub place: String,
    /// Of a bucket: its S3 server, unless it is Amazon's.
    pub endpoint: Option<String>,
    /// Of a bucket: its region.
    pub region: Option<String>,
    /// Of a bucket: the access key.
    pub access_key: Option<String>,
    /// When it was allowed.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// The places of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceList {
    /// By what they begin with.
    pub sources: Vec<SourceView>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_bucket_has_credentials_of_its_own_and_the_web_has_none() {
        let check = |request: Value| {
            let request: SourceRequest = serde_json::from_value(request).unwrap();
            request.check().map_err(|error| error.field)
        };
        let keys = json!({"access_key": "a", "secret_key": "b"});
        let with = |place: &str, more: Value| {
            let mut whole = keys.clone();
            whole["place"] = place.into();
            whole
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            whole
        };
        check(json!({"place": "https://cdn.example/"})).unwrap();
        check(with(
            "s3://bucket/a",
            json!({"endpoint": "https://s3.example", "region": "x"}),
        ))
        .unwrap();
        for (request, field) in [
            (json!({"place": "cdn.example"}), "place"),
            (json!({"place": "https://cdn.example/?a=1"}), "place"),
            (json!({"place": "s3://bucket"}), "access_key"),
            (
                json!({"place": "s3://bucket", "access_key": "a"}),
                "access_key",
            ),
            (with("https://cdn.example/", json!({})), "access_key"),
            (
                with("s3://bucket", json!({"endpoint": "ftp://s3.example"})),
                "endpoint",
            ),
            (with("s3://bucket", json!({"region": ""})), "region"),
        ] {
            assert_eq!(check(request.clone()).unwrap_err(), field, "{request}");
        }
    }
}
