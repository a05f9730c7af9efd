//! The errors of this crate.

use limekiln_jobs::{ErrorKind, Retryable};
use std::sync::Arc;

/// The result of an operation on the broker.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on the broker failed. Its [`kind`](Self::kind) says whether to try again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection, and none was restored within the time allowed.
    #[error("rabbitmq is not connected: {0}")]
    Disconnected(String),
    /// The first connection failed.
    #[error(
        "can't connect to rabbitmq at {address}: {reason}; check AMQP_URL, the user and the virtual host"
    )]
    Connect {
        /// Host, port and virtual host, without user and password.
        address: String,
        /// Why the attempt failed.
        reason: String,
        /// Whether the server answered and refused. Otherwise it could not be reached.
        refused: bool,
    },
    /// The URL in the settings is malformed.
    #[error("not a usable broker url: {0}; expected amqp://user:password@host:port/vhost")]
    Url(String),
    /// No queue took the message, even after the queue was declared again.
    #[error("no queue {0} takes the message; check that no policy or user deletes it")]
    Unroutable(String),
    /// RabbitMQ takes no messages because it runs out of memory or disk.
    #[error("rabbitmq takes no messages: it is {0}; give it room")]
    Blocked(String),
    /// RabbitMQ confirmed that it does not keep the message.
    #[error(
        "rabbitmq refused the message for {0}: the queue is full or has no majority of its replicas"
    )]
    Refused(String),
    /// RabbitMQ did not confirm in time. It may have the message all the same.
    #[error("rabbitmq did not confirm within {0:?}")]
    Unconfirmed(std::time::Duration),
    /// A queue or exchange exists with other properties than ours.
    #[error(
        "{name} exists with other properties ({detail}); delete it while the fleet is stopped, or give the fleet its own virtual host"
    )]
    Differs {
        /// The queue or exchange.
        name: String,
        /// RabbitMQ's message.
        detail: String,
    },
    /// The user lacks a permission.
    #[error(
        "rabbitmq denies access ({0}); give the user configure, write and read permissions on limekiln.*"
    )]
    Denied(String),
    /// The in-process queue has reached its limit.
    #[error("the queue {0} is full; announce again later")]
    Full(String),
    /// The broker handle was closed.
    #[error("the broker handle is closed")]
    Closed,
    /// A message could not be encoded.
    #[error("a message can't be encoded: {0}")]
    Encode(#[source] Arc<serde_json::Error>),
    /// Any other error of the client library.
    #[error("rabbitmq: {0}")]
    Amqp(#[from] lapin::Error),
}

impl Retryable for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Disconnected(_)
            | Self::Blocked(_)
            | Self::Unroutable(_)
            | Self::Refused(_)
            | Self::Unconfirmed(_)
            | Self::Full(_)
            | Self::Amqp(_) => ErrorKind::Transient,
            Self::Connect { refused: false, .. } => ErrorKind::Transient,
            Self::Connect { refused: true, .. } | Self::Denied(_) => ErrorKind::Denied,
            Self::Url(_) | Self::Differs { .. } => ErrorKind::Setup,
            Self::Closed => ErrorKind::Request,
            Self::Encode(_) => ErrorKind::Internal,
        }
    }

    fn is_disk_full(&self) -> bool {
        matches!(self, Self::Blocked(reason) if reason.contains("disk"))
    }
}

impl Error {
    /// The error of an operation on the exchange or queue of this name.
    pub(crate) fn named(name: &str, error: lapin::Error) -> Self {
        let lapin::ErrorKind::ProtocolError(refusal) = error.kind() else {
            return Self::Amqp(error);
        };
        match refusal.get_id() {
            403 => Self::Denied(refusal.get_message().to_string()),
            406 => Self::Differs {
                name: name.to_owned(),
                detail: refusal.get_message().to_string(),
            },
            _ => Self::Amqp(error),
        }
    }

    /// Whether RabbitMQ said that there is no such queue or exchange.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Amqp(error)
            if matches!(error.kind(), lapin::ErrorKind::ProtocolError(refusal) if refusal.get_id() == 404))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Encode(Arc::new(error))
    }
}
