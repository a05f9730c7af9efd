//! Parameters in paths, queries and headers. Each extractor names the parameter that is wrong.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use limekiln_broker::trace;
use limekiln_jobs::api::branch_check;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::problem::{Problem, ProblemCode};

/// `{id}` of the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathId<T>(pub(crate) T);

impl<S: Send + Sync, T: From<Uuid>> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(ProblemCode::Malformed, "the path is not UTF-8"))?;
        let (_, text) = params
            .iter()
            .find(|(key, _)| *key == "id")
            .ok_or_else(|| Problem::plain(ProblemCode::NotFound))?;
        id("id", text).map(Self)
    }
}

/// `{name}` of the path.
#[derive(Clone, Debug)]
pub(crate) struct PathName(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(ProblemCode::Malformed, "the path is not UTF-8"))?;
        let name = params.iter().find(|(key, _)| *key == "name");
        let (_, text) = name.ok_or_else(|| Problem::plain(ProblemCode::NotFound))?;
        match branch_check("name", text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(error) => Err(Problem::parameter("name", &error.message)),
        }
    }
}

/// The id in a parameter.
pub(crate) fn id<T: From<Uuid>>(name: &str, text: &str) -> Result<T, Problem> {
    uuid(text)
        .map(T::from)
        .ok_or_else(|| Problem::parameter(name, "must be a UUID"))
}

/// A UUID with its hyphens and nothing else, so that everything has one address only.
fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

/// A path of ours as a header's value.
pub(crate) fn header(path: &str) -> HeaderValue {
    HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"))
}

/// Items on a page whose query gives no `limit`.
const PAGE: u32 = 20;
/// Most items on a page.
const PAGE_MAX: u32 = 100;

/// The `limit` of a query.
pub(crate) fn limit(given: Option<u32>) -> Result<u32, Problem> {
    match given.unwrap_or(PAGE) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        _ => Err(Problem::parameter("limit", "must be from 1 to 100")),
    }
}

/// The query. As axum's, but whatever is wrong becomes a problem.
#[derive(Clone, Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|rejection| match rejection {
                QueryRejection::FailedToDeserializeQueryString(error) => {
                    Problem::new(ProblemCode::ParameterInvalid, error.body_text())
                }
                other => Problem::new(ProblemCode::ParameterInvalid, other.to_string()),
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

/// `If-Match`, when there is one: the version of a session's head, in quotes. `*` asks for nothing. Any other tag names
/// version 0, which no head has, so that it does not match (RFC 9110, section 13.1.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct IfMatch(pub(crate) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let tag = match one(&parts.headers, "if-match")? {
            None | Some("*") => return Ok(Self(None)),
            Some(tag) => tag,
        };
        let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        Ok(Self(Some(quoted.and_then(number).unwrap_or(0))))
    }
}

/// A whole number of at most 15 digits, and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `Last-Event-ID`, when there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastEventId(pub(crate) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(text) = one(&parts.headers, "last-event-id")? else {
            return Ok(Self(None));
        };
        match number(text) {
            Some(id) => Ok(Self(Some(id))),
            None => Err(Problem::parameter(
                "Last-Event-ID",
                "must be the id of an event, a whole number",
            )),
        }
    }
}

/// The value of a header that may come once.
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

/// The `traceparent` (W3C) that an edit of this request continues: the span's where spans are exported, else the one that
/// the request came with, else a new one.
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
    fn a_uuid_has_one_spelling() {
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
