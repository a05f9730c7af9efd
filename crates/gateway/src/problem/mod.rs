//! Errors as clients see them: problem documents (RFC 9457) with stable codes.

mod code;
mod from;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use limekiln_jobs::Invalid;
use serde::Serialize;
use utoipa::ToSchema;

pub use code::Code;
pub(crate) use from::internal;

/// The media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request failed.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: String,
    pub(crate) errors: Vec<Invalid>,
    pub(crate) retry_after_s: Option<u64>,
}

/// A problem document, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// Where the code is explained.
    #[serde(rename = "type")]
    #[schema(example = "/docs#edit_not_found")]
    kind: String,
    /// The same for every problem of this code.
    #[schema(example = "There is no such edit")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong with this request, for people.
    detail: &'a str,
    /// Stable name, for programs.
    #[schema(example = "edit_not_found")]
    code: &'a str,
    /// Fields that are wrong.
    #[serde(skip_serializing_if = "<[Invalid]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [Invalid],
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = matches!(
            code,
            Code::Unavailable | Code::Overloaded | Code::InFlightLimit
        )
        .then_some(1);
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s,
        }
    }

    /// With the code's advice as detail.
    pub(crate) fn plain(code: Code) -> Self {
        Self::new(code, code.advice())
    }

    pub(crate) fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self {
            errors: vec![Invalid {
                field: name.to_owned(),
                message: message.to_string(),
            }],
            ..Self::new(Code::ParameterInvalid, format!("{name} {message}"))
        }
    }

    /// One field of the body is wrong.
    pub(crate) fn field(name: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Invalid {
            field: name.to_owned(),
            message: message.into(),
        }])
    }

    pub(crate) fn invalid(errors: Vec<Invalid>) -> Self {
        let detail = errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        Self {
            errors,
            ..Self::new(Code::RequestInvalid, detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let document = Document {
            kind: format!("/docs#{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            errors: &self.errors,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // For the OpenAI route, which words it another way.
        response.extensions_mut().insert(self);
        response
    }
}
