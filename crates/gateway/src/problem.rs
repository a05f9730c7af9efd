//! Errors of handlers: each becomes a problem document (RFC 9457). Clients learn whether to try again, the log learns why.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use limekiln_jobs::api::{Invalid, ProblemDocument};
use limekiln_jobs::{ErrorKind, Retryable};

use crate::keys::Quota;

pub(crate) use limekiln_jobs::api::ProblemCode;

/// The media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What is left of a limit, as draft-ietf-httpapi-ratelimit-headers-06 names it, the last draft with these three: they are what
/// clients read.
pub(crate) const RATE_LIMIT: [HeaderName; 3] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];

/// How long a client is told to wait for room on a disk, in seconds.
const DISK_RETRY_S: u64 = 30;

/// Why a request failed.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: ProblemCode,
    pub(crate) detail: String,
    pub(crate) errors: Vec<Invalid>,
    pub(crate) retry_after_s: Option<u64>,
    /// The limit that was reached.
    pub(crate) quota: Option<Quota>,
    /// The service whose disk is full.
    pub(crate) full_disk: Option<&'static str>,
}

/// Adds the `RateLimit-*` headers, unless they are there.
pub(crate) fn quota_headers(headers: &mut HeaderMap, quota: Quota) {
    let values = [quota.limit, quota.remaining, quota.reset_s];
    for (name, value) in RATE_LIMIT.into_iter().zip(values) {
        headers
            .entry(name)
            .or_insert_with(|| HeaderValue::from(value));
    }
}

impl Problem {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let retry_after_s = matches!(
            code,
            ProblemCode::Unavailable | ProblemCode::Overloaded | ProblemCode::InFlightLimit
        )
        .then_some(1);
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s,
            quota: None,
            full_disk: None,
        }
    }

    /// The same of a limit that was reached, with what is left of it; another try helps after so many seconds.
    pub(crate) fn limited(self, quota: Quota, retry_after_s: u64) -> Self {
        Self {
            quota: Some(quota),
            retry_after_s: Some(retry_after_s),
            ..self
        }
    }

    /// A tenant that holds its whole share of `each`.
    pub(crate) fn share(code: ProblemCode, each: usize, what: &str) -> Self {
        let detail =
            format!("{each} of your {what} at this gateway, which is your share: try again later");
        let quota = Quota {
            limit: each as u64,
            remaining: 0,
            reset_s: 1,
        };
        Self::new(code, detail).limited(quota, 1)
    }

    /// A problem whose detail is the code's advice.
    pub(crate) fn plain(code: ProblemCode) -> Self {
        Self::new(code, code.advice())
    }

    /// A session that is not at the version that was expected.
    pub(crate) fn head_moved(version: u64) -> Self {
        let code = ProblemCode::HeadMoved;
        let detail = format!("the session is at version {version} now: {}", code.advice());
        Self::new(code, detail)
    }

    /// A wrong parameter of the path, the query or the headers.
    pub(crate) fn parameter(name: &str, message: &str) -> Self {
        Self {
            errors: vec![Invalid::new(name, message)],
            ..Self::new(ProblemCode::ParameterInvalid, format!("{name} {message}"))
        }
    }

    /// A wrong field of the body.
    pub(crate) fn field(name: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Invalid::new(name, message)])
    }

    /// Wrong fields of the body.
    pub(crate) fn invalid(errors: Vec<Invalid>) -> Self {
        let details: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Self {
            errors,
            ..Self::new(ProblemCode::RequestInvalid, details.join("; "))
        }
    }

    /// A failure of ours, of which only the log learns more.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::plain(ProblemCode::Internal)
    }

    fn unavailable(
        what: &'static str,
        error: &(impl Retryable + std::error::Error + 'static),
    ) -> Self {
        if error.is_disk_full() {
            tracing::error!(%error, "{what} has no disk space left");
            let detail =
                format!("{what} has no disk space left: try again once its operator gave it room");
            return Self {
                retry_after_s: Some(DISK_RETRY_S),
                full_disk: Some(what),
                ..Self::new(ProblemCode::DiskFull, detail)
            };
        }
        let error: &(dyn std::error::Error + 'static) = error;
        tracing::warn!(error, "{what} is unavailable");
        Self::new(
            ProblemCode::Unavailable,
            format!("{what} can't be used now: try again in a moment"),
        )
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument::new(self.code, self.detail.clone(), self.errors.clone());
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let media_type = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        let mut response = (self.status(), media_type, body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(quota) = self.quota {
            quota_headers(headers, quota);
        }
        if self.code == ProblemCode::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // For the log, and for the OpenAI route, whose errors have another form.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<limekiln_store::Error> for Problem {
    fn from(error: limekiln_store::Error) -> Self {
        match error.kind() {
            ErrorKind::Transient => Self::unavailable("Postgres", &error),
            ErrorKind::Request => match error {
                limekiln_store::Error::Invalid { field, message } => Self::field(field, message),
                other => Self::new(ProblemCode::RequestInvalid, other.to_string()),
            },
            _ => Self::internal(&error),
        }
    }
}

impl From<limekiln_blobs::Error> for Problem {
    fn from(error: limekiln_blobs::Error) -> Self {
        if error.is_transient() {
            Self::unavailable("the blob store", &error)
        } else {
            Self::internal(&error)
        }
    }
}

impl From<limekiln_coordinator::Error> for Problem {
    fn from(error: limekiln_coordinator::Error) -> Self {
        use limekiln_coordinator::Error;
        match error {
            Error::Store(error) => error.into(),
            Error::Blobs(error) => error.into(),
            Error::Overloaded => Self::new(ProblemCode::Overloaded, error.to_string()),
            Error::Slow => Self::new(ProblemCode::Timeout, error.to_string()),
            Error::Closed => Self::new(ProblemCode::Unavailable, error.to_string()),
            error if error.is_transient() => Self::unavailable("the broker", &error),
            error => Self::internal(&error),
        }
    }
}

impl From<limekiln_pictures::Error> for Problem {
    fn from(error: limekiln_pictures::Error) -> Self {
        use limekiln_pictures::Error;
        let code = match &error {
            Error::Empty => ProblemCode::ImageEmpty,
            Error::Bytes { .. } => ProblemCode::BodyTooLarge,
            Error::NotAPicture
            | Error::StandIn { .. }
            | Error::Format { .. }
            | Error::Unsupported { .. }
            | Error::Brightness(_) => ProblemCode::ImageUnsupported,
            Error::Pixels { .. } | Error::Memory(_) => ProblemCode::ImagePixelsLimit,
            Error::MaskSize { .. } | Error::MaskEmpty | Error::MaskUnclear => {
                ProblemCode::MaskInvalid
            }
            Error::Side { .. } => ProblemCode::ParameterInvalid,
            Error::Encode { .. } => return Self::internal(&error),
            _ => ProblemCode::ImageDamaged,
        };
        Self::new(code, error.to_string())
    }
}
