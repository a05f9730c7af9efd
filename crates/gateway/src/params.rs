//! Parameters in paths, queries and headers; whatever is odd about them is a problem with a name.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use limekiln_broker::trace;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// `{id}` of the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: From<Uuid>> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = segment(parts, state, "id").await?;
        uuid(&text)
            .map(|id| Self(id.into()))
            .ok_or_else(|| Problem::parameter("id", "must be a UUID"))
    }
}

async fn segment<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Problem::new(Code::Malformed, "the path is not UTF-8"))?;
    params
        .iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .ok_or_else(|| Problem::plain(Code::NotFound))
}

/// A UUID with its hyphens and nothing else: one thing has one address.
pub(crate) fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

/// The query, every field known and at most once.
#[derive(Clone, Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|rejection| match rejection {
                QueryRejection::FailedToDeserializeQueryString(error) => {
                    Problem::new(Code::ParameterInvalid, error.body_text())
                }
                other => Problem::new(Code::ParameterInvalid, other.to_string()),
            })
    }
}

/// `Idempotency-Key`, when there is one: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(key) = one(&parts.headers, "idempotency-key")? else {
            return Ok(Self(None));
        };
        if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(Some(key.to_owned())))
        } else {
            Err(Problem::parameter(
                "Idempotency-Key",
                "must have 1 to 255 visible ASCII characters",
            ))
        }
    }
}

/// `Last-Event-ID`; 0 without one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastEventId(pub(crate) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(text) = one(&parts.headers, "last-event-id")? else {
            return Ok(Self(None));
        };
        let digits =
            (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let id = digits.then(|| text.parse().ok()).flatten();
        match id {
            Some(id) => Ok(Self(Some(id))),
            None => Err(Problem::parameter(
                "Last-Event-ID",
                "must be the id of an event, a whole number",
            )),
        }
    }
}

/// A header that may come once.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::parameter(name, "must come once"));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Problem::parameter(name, "must be ASCII"))
}

/// The `traceparent` (W3C) of what follows from this request: of its span where spans are exported, else the one it came
/// with, else a new one.
#[derive(Clone, Debug)]
pub(crate) struct Trace(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Trace {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let given = one(&parts.headers, "traceparent")
            .ok()
            .flatten()
            .filter(|text| trace::is_traceparent(text));
        Ok(Self(
            trace::traceparent(&tracing::Span::current())
                .or_else(|| given.map(str::to_owned))
                .unwrap_or_else(traceparent_new),
        ))
    }
}

fn traceparent_new() -> String {
    let (trace, span) = (Uuid::now_v7(), Uuid::now_v7());
    // The last 8 bytes are the random ones.
    let span = span.as_u64_pair().1;
    format!("00-{}-{span:016x}-01", trace.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_of_a_uuid() {
        assert!(uuid("01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57").is_some());
        for text in [
            "01939e0c8a527c319d0f3b1d6c2a4e57",
            "{01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57}",
            "urn:uuid:01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57",
            "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e5",
            "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e5g",
        ] {
            assert_eq!(uuid(text), None, "{text}");
        }
    }

    #[test]
    fn trace_parents() {
        assert!(trace::is_traceparent(&traceparent_new()));
    }
}
