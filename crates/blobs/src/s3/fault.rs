//! What the SDK's errors mean to us.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};

use super::client::S3;
use crate::Error;

/// Codes of requests that did not arrive whole, or of a server with too much to do: another try may succeed.
const TRANSIENT: [&str; 13] = [
    "BadDigest",
    "ConditionalRequestConflict",
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

/// Codes of servers without disk space: MinIO's, Ceph's and SeaweedFS's, Swift's.
const FULL: [&str; 4] = [
    "XMinioStorageFull",
    "InsufficientStorage",
    "StorageFull",
    "QuotaExceeded",
];
/// "Insufficient Storage".
const STATUS_FULL: u16 = 507;

impl S3 {
    /// What the SDK's error means; `name` is that of the blob, where the request was for one.
    pub(super) fn fault<E>(
        &self,
        operation: &'static str,
        name: Option<&str>,
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
            // The SDK looks for credentials only when it sends a request, and says so in words alone.
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_)
                if describe(&error).contains("credentials") =>
            {
                Error::Denied {
                    operation,
                    message: describe(&error),
                }
            }
            SdkError::DispatchFailure(failure) if !failure.is_user() => Error::Unavailable {
                operation,
                message: describe(&error),
            },
            SdkError::ResponseError(_) => Error::Unavailable {
                operation,
                message: describe(&error),
            },
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                let code = error.code().unwrap_or_default();
                let message = match (error.code(), error.message()) {
                    (Some(code), Some(message)) => format!("{code}: {message}"),
                    (Some(code), None) => code.to_owned(),
                    (None, _) => format!("status {status}"),
                };
                self.refusal(operation, name, status, code, message)
            }
            _ => Error::Other {
                operation,
                message: describe(&error),
            },
        }
    }

    /// What an answer with this status and S3 code means.
    pub(super) fn refusal(
        &self,
        operation: &'static str,
        name: Option<&str>,
        status: u16,
        code: &str,
        message: String,
    ) -> Error {
        let no_bucket = || Error::NoBucket {
            bucket: self.settings.bucket.clone(),
        };
        if FULL.contains(&code) || status == STATUS_FULL {
            return Error::Full { operation, message };
        }
        if TRANSIENT.contains(&code) {
            return Error::Unavailable { operation, message };
        }
        match (code, status, name) {
            ("NoSuchBucket", ..) => no_bucket(),
            ("NoSuchKey", _, Some(name)) | (_, 404, Some(name)) => Error::NotFound {
                key: name.to_owned(),
            },
            (_, 404, None) => no_bucket(),
            (_, 401 | 403, _) => Error::Denied { operation, message },
            (_, 408 | 429 | 500 | 502..=599, _) => Error::Unavailable { operation, message },
            _ => Error::Other { operation, message },
        }
    }
}

/// The error and its causes in one line.
fn describe(error: &(impl std::error::Error + 'static)) -> String {
    let mut text = DisplayErrorContext(error).to_string();
    // The context ends with a Debug dump of everything, useless to a reader.
    if let Some(end) = text.find(" (") {
        text.truncate(end);
    }
    text
}
