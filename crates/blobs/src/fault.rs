//! What the SDK's errors mean to us.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};

use crate::{Error, client::Inner};

/// Codes of requests that never arrived whole, or of a server with too much to do. Another try may do.
const TRANSIENT: [&str; 12] = [
    "BadDigest",
    "IncompleteBody",
    "InternalError",
    "InvalidDigest",
    "NoSuchUpload",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "XAmzContentSHA256Mismatch",
];

impl Inner {
    /// What the SDK's error means; `key` is what was asked for, if it was one blob.
    pub(crate) fn fault<E>(
        &self,
        operation: &'static str,
        key: Option<&str>,
        error: SdkError<E, HttpResponse>,
    ) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match &error {
            SdkError::TimeoutError(_) => Error::Timeout {
                operation,
                after: self.settings.timeouts.operation,
            },
            // Credentials are looked for when a request is sent.
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_)
                if said(&error).contains("credentials") =>
            {
                Error::Denied {
                    operation,
                    message: said(&error),
                }
            }
            SdkError::DispatchFailure(failure) if !failure.is_user() => Error::Unavailable {
                operation,
                message: said(&error),
            },
            SdkError::ResponseError(_) => Error::Unavailable {
                operation,
                message: said(&error),
            },
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                let code = error.code().unwrap_or_default();
                let message = match (error.code(), error.message()) {
                    (Some(code), Some(message)) => format!("{code}: {message}"),
                    (Some(code), None) => code.to_owned(),
                    (None, _) => format!("status {status}"),
                };
                self.refusal(operation, key, status, code, message)
            }
            _ => Error::Other {
                operation,
                message: said(&error),
            },
        }
    }

    pub(crate) fn refusal(
        &self,
        operation: &'static str,
        key: Option<&str>,
        status: u16,
        code: &str,
        message: String,
    ) -> Error {
        let no_bucket = || Error::NoBucket {
            bucket: self.settings.bucket.clone(),
        };
        if TRANSIENT.contains(&code) {
            return Error::Unavailable { operation, message };
        }
        match (code, status, key) {
            ("NoSuchBucket", ..) => no_bucket(),
            ("NoSuchKey", _, Some(key)) | (_, 404, Some(key)) => Error::NotFound {
                key: key.to_owned(),
            },
            (_, 404, None) => no_bucket(),
            (_, 401 | 403, _) => Error::Denied { operation, message },
            (_, 408 | 429 | 500 | 502..=599, _) => Error::Unavailable { operation, message },
            _ => Error::Other { operation, message },
        }
    }
}

/// The error and its causes in one line.
fn said(error: &(impl std::error::Error + 'static)) -> String {
    let mut said = DisplayErrorContext(error).to_string();
    // The context ends with a Debug dump of everything, useless to a reader.
    if let Some(end) = said.find(" (") {
        said.truncate(end);
    }
    said
}
