//! What can go wrong between us and the broker.

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong. Whether to try again is the [`Kind`]'s alone to say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection, and none came within the time allowed.
    #[error("rabbitmq is not connected: {0}")]
    Disconnected(String),
    /// The first connection failed.
    #[error(
        "can't connect to rabbitmq at {address}: {reason}; check AMQP_URL, the user and the virtual host"
    )]
    Connect {
        /// Host, port and virtual host; never the password.
        address: String,
        /// What the attempt met.
        reason: String,
        /// Whether the broker refused us, rather than being away.
        refused: bool,
    },
    /// The settings make no sense.
    #[error("not a usable broker url: {0}; expected amqp://user:password@host:port/vhost")]
    Url(String),
    /// No queue took the message, even after the queue was declared again.
    #[error("no queue {0} takes the message; check that no policy or user deletes it")]
    Unroutable(String),
    /// RabbitMQ takes no messages because it runs out of memory or disk.
    #[error("rabbitmq takes no messages: it runs out of memory or disk space; give it more")]
    Blocked,
    /// The broker said it could not keep the message.
    #[error(
        "rabbitmq refused the message for {0}: the queue is full or has no majority of its replicas"
    )]
    Refused(String),
    /// The broker did not confirm in time. It may have the message all the same.
    #[error("rabbitmq did not confirm within {0:?}")]
    Unconfirmed(std::time::Duration),
    /// A queue or exchange exists with other properties than ours.
    #[error(
        "{name} exists with other properties ({detail}); delete it while the fleet is stopped, or give the fleet its own virtual host"
    )]
    Differs {
        /// The queue or exchange.
        name: String,
        /// What the broker said.
        detail: String,
    },
    /// The user may not do this.
    #[error(
        "rabbitmq denies access ({0}); give the user configure, write and read permissions on limekiln.*"
    )]
    Denied(String),
    /// The in-process queue holds as much as it may.
    #[error("the queue {0} is full; announce again later")]
    Full(String),
    /// The broker handle was closed.
    #[error("the broker handle is closed")]
    Closed,
    /// A message could not be written or read.
    #[error("a message can't be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// Anything else the client library met.
    #[error("rabbitmq: {0}")]
    Amqp(#[from] lapin::Error),
}

/// What a caller needs to know to decide on a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// May work later, unchanged: retry with backoff.
    Transient,
    /// Somebody has to change something first.
    Permanent,
}

impl Error {
    /// Whether trying again may help.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Disconnected(_)
            | Self::Blocked
            | Self::Unroutable(_)
            | Self::Refused(_)
            | Self::Unconfirmed(_)
            | Self::Full(_)
            | Self::Amqp(_) => Kind::Transient,
            Self::Connect { refused: false, .. } => Kind::Transient,
            Self::Connect { refused: true, .. }
            | Self::Url(_)
            | Self::Differs { .. }
            | Self::Denied(_)
            | Self::Closed
            | Self::Encode(_) => Kind::Permanent,
        }
    }

    /// The same once more, for the next of many messages that met it.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Blocked => Self::Blocked,
            Self::Closed => Self::Closed,
            Self::Unconfirmed(timeout) => Self::Unconfirmed(*timeout),
            Self::Denied(detail) => Self::Denied(detail.clone()),
            Self::Differs { name, detail } => Self::Differs {
                name: name.clone(),
                detail: detail.clone(),
            },
            Self::Amqp(error) => Self::Amqp(error.clone()),
            Self::Disconnected(reason) => Self::Disconnected(reason.clone()),
            other => Self::Disconnected(other.to_string()),
        }
    }

    /// Shorthand for [`Kind::Transient`].
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind() == Kind::Transient
    }
}

impl Error {
    /// What the broker's refusal means for the exchange or queue of this name.
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

    /// Whether there is no such queue or exchange.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Amqp(error)
            if matches!(error.kind(), lapin::ErrorKind::ProtocolError(refusal) if refusal.get_id() == 404))
    }
}
