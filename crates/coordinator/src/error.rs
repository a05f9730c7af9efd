//! What can go wrong here, and whether trying again may help.

use limekiln_jobs::{ErrorKind, Retryable};
use limekiln_store::WriteError;

/// Why a submission, a cancellation or the coordinator itself failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres failed, or refused.
    #[error("postgres: {0}")]
    Store(#[from] limekiln_store::Error),
    /// RabbitMQ failed, or refused.
    #[error("broker: {0}")]
    Broker(#[from] limekiln_broker::Error),
    /// S3 failed, or refused.
    #[error("blobs: {0}")]
    Blobs(#[from] limekiln_blobs::Error),
    /// More submissions wait than are taken at once; nothing was stored.
    #[error("too many submissions wait to be written: try again in a moment")]
    Overloaded,
    /// Written or not, nobody knows yet; the same request with the same idempotency key finds out.
    #[error("postgres took too long: send the request again with the same idempotency key")]
    Slow,
    /// The process is shutting down.
    #[error("shutting down: send the request again")]
    Closed,
    /// Settings that can't work.
    #[error("settings: {0}")]
    Settings(&'static str),
    /// A webhook client couldn't be made.
    #[error("the webhooks' http client: {0}")]
    Client(#[source] reqwest::Error),
    /// One of the coordinator's tasks died.
    #[error("the coordinator's task {task} died: {reason}")]
    Died {
        /// The name of its loop.
        task: String,
        /// What it died of.
        reason: String,
    },
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(error) => Self::Store(error),
            WriteError::Overloaded => Self::Overloaded,
            WriteError::Slow => Self::Slow,
            WriteError::Closed => Self::Closed,
        }
    }
}

impl Retryable for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Broker(error) => error.kind(),
            Self::Blobs(error) => error.kind(),
            Self::Overloaded | Self::Slow | Self::Closed => ErrorKind::Transient,
            Self::Settings(_) => ErrorKind::Setup,
            Self::Client(_) | Self::Died { .. } => ErrorKind::Internal,
        }
    }

    fn is_disk_full(&self) -> bool {
        match self {
            Self::Store(error) => error.is_disk_full(),
            Self::Broker(error) => error.is_disk_full(),
            Self::Blobs(error) => error.is_disk_full(),
            _ => false,
        }
    }
}
