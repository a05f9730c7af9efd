use std::time::Duration;

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
    /// A name that no blob may have.
    #[error("`{key}` is no blob key: {reason}")]
    Key {
        /// What was given, shortened.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Settings that can't work.
    #[error("{0}")]
    Settings(String),
    /// The local disk.
    #[error("can't {operation} `{path}`: {source}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: String,
        /// Why.
        source: std::io::Error,
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

/// What a caller may do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The blob (or the bucket) is not there.
    NotFound,
    /// The bytes are not those that were stored.
    Corrupt,
    /// More bytes than the caller takes.
    TooLarge,
    /// Credentials or permissions.
    Denied,
    /// Worth another try.
    Transient,
    /// None of these.
    Other,
}

impl Kind {
    /// The label of the metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::Denied => "denied",
            Self::Transient => "transient",
            Self::Other => "other",
        }
    }
}

impl Error {
    /// What a caller may do about it; retries look at this alone.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } | Self::NoBucket { .. } => Kind::NotFound,
            Self::Corrupt { .. } => Kind::Corrupt,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Denied { .. } => Kind::Denied,
            Self::Timeout { .. } | Self::Unavailable { .. } => Kind::Transient,
            Self::Key { .. } | Self::Settings(_) | Self::Disk { .. } | Self::Other { .. } => {
                Kind::Other
            }
        }
    }

    /// Whether another try may do.
    pub fn is_transient(&self) -> bool {
        self.kind() == Kind::Transient
    }
}
