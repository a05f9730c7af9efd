//! Everything that can go wrong in this crate.

/// One error for the crate; messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(candle_core::Error),
    /// A file or folder cannot be read or written.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Path of the file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that a checkpoint needs is not there.
    #[error("{path} is missing: {hint}")]
    Missing {
        /// The file or folder that should be there.
        path: String,
        /// What it is for, or where to get it.
        hint: String,
    },
    /// A file's content is not what its name says.
    #[error("{path}: {reason}")]
    Damaged {
        /// Path of the file.
        path: String,
        /// What is wrong and, where it can be helped, what to do.
        reason: String,
    },
    /// A tensor is missing, misshapen, or has no place in the network.
    #[error("{component}: {problem}")]
    Tensor {
        /// `unet`, `vae` or `text_encoder`.
        component: &'static str,
        /// Names the tensor, the shapes and the file.
        problem: String,
    },
    /// A sound checkpoint of a kind that cannot edit pictures here.
    #[error("{0}")]
    Refused(String),
    /// A checkpoint of the hub is neither in the cache nor can it be downloaded.
    #[error("hf:{repo}: {reason}")]
    Hub {
        /// `owner/name`.
        repo: String,
        /// What failed, what to download and where to put it.
        reason: String,
    },
    /// A tokenizer's files are unusable.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A configuration asks for a network that is not implemented, or contradicts itself.
    #[error("config: {key} {reason}")]
    Config {
        /// The key of the configuration.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// A device or a precision cannot be used.
    #[error("{0}")]
    Device(String),
    /// The state of a noise generator cannot be restored.
    #[error("noise: {0}")]
    Noise(String),
    /// A scheduler cannot be built or restored; it names the key.
    #[error("scheduler: {0}")]
    Scheduler(String),
    /// A picture cannot be converted.
    #[error("picture: {0}")]
    Picture(String),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(plain(error))
    }
}

/// The error without the backtrace that candle writes into its message where `RUST_BACKTRACE` is set.
#[must_use]
pub fn plain(error: candle_core::Error) -> candle_core::Error {
    use candle_core::Error;
    match error {
        Error::WithBacktrace { inner, .. } => plain(*inner),
        Error::WithPath { inner, path } => Error::WithPath {
            inner: Box::new(plain(*inner)),
            path,
        },
        Error::Context { inner, context } => Error::Context {
            inner: Box::new(plain(*inner)),
            context,
        },
        other => other,
    }
}

impl Error {
    /// An error about one key of a configuration.
    pub(crate) fn config(key: &str, reason: impl Into<String>) -> Self {
        Self::Config {
            key: key.into(),
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_backtrace_is_in_a_message() {
        let with = |inner| candle_core::Error::WithBacktrace {
            inner: Box::new(inner),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        let error = with(with(candle_core::Error::Msg("it broke".to_owned())).with_path("a"));
        assert!(error.to_string().lines().count() > 1);
        assert_eq!(Error::from(error).to_string(), "path: \"a\" it broke");
    }
}
