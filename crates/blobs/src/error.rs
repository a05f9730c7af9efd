use std::{io, time::Duration};

use limekiln_jobs::{ErrorKind, Retryable};

/// What this crate's calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a blob.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No blob has this key.
    #[error("no blob at `{key}`")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// The bucket is not there.
    #[error("there is no bucket `{bucket}`; create it, or name another with S3_BUCKET")]
    NoBucket {
        /// The bucket's name.
        bucket: String,
    },
    /// What came is not what was stored.
    #[error("the blob at `{key}` is corrupt: expected {expected}, found {found}")]
    Corrupt {
        /// The key, or the cached file's digest.
        key: String,
        /// Digest or length that was expected.
        expected: String,
        /// Digest or length that was found.
        found: String,
    },
    /// The blob is longer than the caller takes.
    #[error("the blob at `{key}` is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The key asked for.
        key: String,
        /// What the caller takes, in bytes.
        limit_bytes: u64,
    },
    /// The server knows us and refuses, or does not know us.
    #[error(
        "S3 refuses to {operation}: {message}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy"
    )]
    Denied {
        /// What was tried.
        operation: &'static str,
        /// The server's code and words.
        message: String,
    },
    /// Nothing came in time.
    #[error("S3 did not {operation} within {} s", after.as_secs())]
    Timeout {
        /// What was tried.
        operation: &'static str,
        /// The limit of the whole operation.
        after: Duration,
    },
    /// The server can't be reached, or is busy or broken; another try may do.
    #[error("S3 can't {operation} now: {message}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// The server's or the network's words.
        message: String,
    },
    /// The server has no disk space left.
    #[error("S3 can't {operation}: it has no disk space left ({message}); give it room")]
    Full {
        /// What was tried.
        operation: &'static str,
        /// The server's code and words.
        message: String,
    },
    /// A name that no blob may have.
    #[error("`{key}` is no blob key: {reason}")]
    Key {
        /// What was given, shortened.
        key: String,
        /// Why it can be no key.
        reason: &'static str,
    },
    /// Settings that can't work.
    #[error("{0}")]
    Settings(String),
    /// The disk of the local cache.
    #[error("can't {operation} `{path}`: {source}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The disk of a folder of blobs.
    #[error("can't {operation} in `{path}`: {source}")]
    Folder {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Everything else a server may answer.
    #[error("S3 failed to {operation}: {message}")]
    Other {
        /// What was tried.
        operation: &'static str,
        /// The server's code and words.
        message: String,
    },
}

impl Error {
    /// The `outcome` label of the metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.kind() {
            _ if self.is_disk_full() => "disk_full",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Denied => "denied",
            ErrorKind::Transient => "transient",
            ErrorKind::Request | ErrorKind::Setup | ErrorKind::Internal => "other",
        }
    }
}

impl Retryable for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::NoBucket { .. } => ErrorKind::NotFound,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Timeout { .. } | Self::Unavailable { .. } | Self::Full { .. } => {
                ErrorKind::Transient
            }
            Self::Folder { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::Denied
                }
                // A blob is where a directory would have to be, or the other way round.
                io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::InvalidFilename => ErrorKind::Internal,
                // A full disk, as a rule, on which somebody may make room.
                _ => ErrorKind::Transient,
            },
            Self::Key { .. } | Self::Settings(_) | Self::Disk { .. } | Self::Other { .. } => {
                ErrorKind::Internal
            }
        }
    }

    fn is_disk_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Folder { source, .. } | Self::Disk { source, .. } => disk_is_full(source),
            _ => false,
        }
    }
}

/// Whether the file system has no room left, or this user's part of it.
fn disk_is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_others() {
        let folder = |kind: io::ErrorKind| Error::Folder {
            operation: "put a blob",
            path: "/data".to_owned(),
            source: kind.into(),
        };
        let full = folder(io::ErrorKind::StorageFull);
        assert!(full.is_disk_full() && full.is_transient());
        assert!(!folder(io::ErrorKind::PermissionDenied).is_disk_full());
    }
}
