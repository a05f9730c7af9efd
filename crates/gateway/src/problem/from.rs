//! What failed below the gateway, as a problem. Clients learn whether to try again; the log learns why.

use limekiln_jobs::{ErrorKind, Invalid, Retryable};

use super::{Code, Problem};

impl From<limekiln_store::Error> for Problem {
    fn from(error: limekiln_store::Error) -> Self {
        match error.kind() {
            ErrorKind::Transient => unavailable("Postgres", &error),
            ErrorKind::Request => match error {
                limekiln_store::Error::Invalid { field, message } => Self::invalid(vec![Invalid {
                    field: field.to_owned(),
                    message,
                }]),
                other => Self::new(Code::RequestInvalid, other.to_string()),
            },
            _ => internal(&error),
        }
    }
}

impl From<limekiln_blobs::Error> for Problem {
    fn from(error: limekiln_blobs::Error) -> Self {
        if error.is_transient() {
            unavailable("the blob store", &error)
        } else {
            internal(&error)
        }
    }
}

impl From<limekiln_coordinator::Error> for Problem {
    fn from(error: limekiln_coordinator::Error) -> Self {
        use limekiln_coordinator::Error;
        match error {
            Error::Store(error) => error.into(),
            Error::Blobs(error) => error.into(),
            Error::Overloaded => Self::new(Code::Overloaded, error.to_string()),
            Error::Slow => Self::new(Code::Timeout, error.to_string()),
            Error::Closed => Self::new(Code::Unavailable, error.to_string()),
            error if error.is_transient() => unavailable("the broker", &error),
            error => internal(&error),
        }
    }
}

impl From<limekiln_pictures::Error> for Problem {
    fn from(error: limekiln_pictures::Error) -> Self {
        use limekiln_pictures::Error;
        let code = match &error {
            Error::Empty => Code::ImageEmpty,
            Error::Bytes { .. } => Code::BodyTooLarge,
            Error::NotAPicture | Error::Format(_) | Error::Unsupported { .. } => {
                Code::ImageUnsupported
            }
            Error::Pixels { .. } | Error::Memory(_) => Code::ImagePixelsLimit,
            Error::MaskSize { .. } | Error::MaskEmpty => Code::MaskInvalid,
            Error::Encode { .. } => return internal(&error),
            _ => Code::ImageDamaged,
        };
        Self::new(code, error.to_string())
    }
}

fn unavailable(what: &str, error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::warn!(error, "{what} is unavailable");
    Problem::new(
        Code::Unavailable,
        format!("{what} can't be used now: try again in a moment"),
    )
}

pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error, "a request failed");
    Problem::plain(Code::Internal)
}
