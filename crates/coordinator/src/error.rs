//! What can go wrong here, and whether trying again may help.

use limekiln_jobs::{ErrorKind, FleetId, Retryable};
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
    /// The bucket is another fleet's.
    #[error(
        "{target} belongs to fleet {owner}, this database to fleet {fleet}: see that DATABASE_URL and S3_BUCKET are right; fleets share a bucket only with an S3_PREFIX each"
    )]
    Foreign {
        /// The bucket, in words.
        target: String,
        /// The fleet that the bucket belongs to.
        owner: FleetId,
        /// The database's own.
        fleet: FleetId,
    },
    /// The bucket holds blobs and does not say whose.
    #[error(
        "{target} holds blobs and no marker that says whose they are: if they are this database's, run `limekiln migrate --adopt-bucket`; else name another S3_BUCKET or S3_PREFIX"
    )]
    Unclaimed {
        /// The bucket, in words.
        target: String,
    },
    /// The database does not know what lies in the bucket.
    #[error(
        "this database knows nothing of {unknown} of the {blobs} blobs in {target}, such as {example}: see that DATABASE_URL, S3_BUCKET and S3_PREFIX are right, and what `limekiln doctor --blobs` lists; with --accept-orphans, too, the bucket is taken all the same and they are deleted after a day"
    )]
    Unknown {
        /// The bucket, in words.
        target: String,
        /// What lies there.
        blobs: u64,
        /// What of it is unknown.
        unknown: u64,
        /// One of those.
        example: String,
    },
    /// What lies in the marker's place is none.
    #[error(
        "`{name}` in {target} is no marker of a fleet ({reason}): if it is somebody else's, name another S3_BUCKET or S3_PREFIX; if it is damaged, delete it and run `limekiln migrate --adopt-bucket`"
    )]
    MarkerUnreadable {
        /// The bucket, in words.
        target: String,
        /// The object.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The marker can't be written down.
    #[error("the marker of the fleet: {0}")]
    MarkerWrite(#[source] serde_json::Error),
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
            Self::Settings(_)
            | Self::Foreign { .. }
            | Self::Unclaimed { .. }
            | Self::Unknown { .. }
            | Self::MarkerUnreadable { .. } => ErrorKind::Setup,
            Self::MarkerWrite(_) | Self::Client(_) | Self::Died { .. } => ErrorKind::Internal,
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
