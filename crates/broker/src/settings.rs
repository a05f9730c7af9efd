//! Where RabbitMQ is, and how long to wait for it.

use std::fmt;
use std::time::Duration;

/// How to reach RabbitMQ. `Debug` hides the password.
#[derive(Clone)]
pub struct Settings {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    pub url: String,
    /// Shown in RabbitMQ's list of connections: which process this is.
    pub name: String,
    /// For one connection attempt, with the declarations that follow it. 10 s.
    pub connect_timeout: Duration,
    /// For the confirm of one publish. 5 s.
    pub confirm_timeout: Duration,
    /// How long an operation waits for a lost connection to come back before it fails. 2 s.
    pub patience: Duration,
    /// Between two signs of life of the connection. 10 s.
    pub heartbeat: Duration,
    /// How long a queue may give no answer, while the broker does, until it is deleted and declared anew. 60 s.
    pub revive_after: Duration,
}

impl Settings {
    /// The usual settings for this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: "limekiln".to_owned(),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(2),
            heartbeat: Duration::from_secs(10),
            revive_after: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("connect_timeout", &self.connect_timeout)
            .field("confirm_timeout", &self.confirm_timeout)
            .field("patience", &self.patience)
            .field("heartbeat", &self.heartbeat)
            .field("revive_after", &self.revive_after)
            .finish_non_exhaustive()
    }
}
