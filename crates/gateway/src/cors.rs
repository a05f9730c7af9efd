//! Pages of other origins, which browsers let in where the gateway says so (CORS).
//!
//! They send their key in `Authorization`, as everybody does. Nothing that a browser adds by itself counts: the gateway's cookie is for
//! its own page (`sign_in`) and never taken from another origin's, and browsers are told to send none.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderName, HeaderValue, Method, header};
use limekiln_jobs::api::PIXELS_MOVED;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use url::Url;

use crate::problem::RATE_LIMIT;

/// How long a browser may remember what is allowed.
const MAX_AGE: std::time::Duration = std::time::Duration::from_secs(3600);
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// An origin whose pages may use the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Any.
    Any,
    /// This one, as browsers name it in `Origin`.
    One(HeaderValue),
}

/// Not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin: write it as https://shop.example or http://localhost:3000, or * for any"
)]
pub struct NoOrigin(String);

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let refused = || NoOrigin(text.chars().take(100).collect());
        let url = Url::parse(text).map_err(|_| refused())?;
        // What browsers send: lower case, without a path and without the port that goes without saying.
        let origin = url.origin().ascii_serialization();
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !bare || !url.username().is_empty() {
            return Err(refused());
        }
        HeaderValue::from_str(&origin)
            .map(Self::One)
            .map_err(|_| refused())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::One(origin) => f.write_str(origin.to_str().unwrap_or_default()),
        }
    }
}

/// The layer that lets these origins in; none where there are none.
pub(crate) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let named = origins.iter().filter_map(|origin| match origin {
        Origin::Any => None,
        Origin::One(origin) => Some(origin.clone()),
    });
    let allowed = if origins.contains(&Origin::Any) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(named)
    };
    let shown = [
        header::LOCATION,
        header::RETRY_AFTER,
        header::ETAG,
        header::CONTENT_DISPOSITION,
        header::ACCEPT_RANGES,
        header::CONTENT_RANGE,
        HeaderName::from_static(PIXELS_MOVED),
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("idempotency-replayed"),
    ];
    // Without Allow-Credentials browsers send no cookie and show no answer to a request that has one.
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(METHODS)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(shown.into_iter().chain(RATE_LIMIT).collect::<Vec<_>>())
            .max_age(MAX_AGE),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_send_them() {
        for (text, origin) in [
            ("*", "*"),
            ("https://shop.example", "https://shop.example"),
            ("https://Shop.Example:443/", "https://shop.example"),
            ("http://localhost:3000", "http://localhost:3000"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), origin);
        }
        for text in [
            "",
            "shop.example",
            "https://shop.example/app",
            "ftp://a",
            "https://u@a",
            "null",
            "https://*.example/x",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
