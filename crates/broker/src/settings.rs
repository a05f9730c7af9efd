//! Where RabbitMQ is, and how long to wait for it.

use std::fmt;
use std::time::Duration;

/// How to reach RabbitMQ. `Debug` hides the password.
#[derive(Clone)]
pub struct Settings {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    pub url: String,
    /// The name of this process in RabbitMQ's list of connections.
    pub name: String,
    /// How long one attempt to connect may take, with the declarations that follow it. 10 s.
    pub connect_timeout: Duration,
    /// How long RabbitMQ may take to confirm a publish or to answer an operation. 5 s.
    pub confirm_timeout: Duration,
    /// How long an operation waits for a lost connection to be restored before it fails. 2 s.
    pub reconnect_timeout: Duration,
    /// The interval of the connection's heartbeat. 10 s.
    pub heartbeat: Duration,
    /// Whether a RabbitMQ that is out of reach at the start is connected to in the background, as one that is lost later.
    pub in_background: bool,
    /// How long a queue may give no answer, while RabbitMQ does, until it is deleted and declared again. 60 s.
    pub recreate_after: Duration,
}

impl Settings {
    /// The default settings for this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: "limekiln".to_owned(),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(5),
            reconnect_timeout: Duration::from_secs(2),
            heartbeat: Duration::from_secs(10),
            in_background: false,
            recreate_after: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("connect_timeout", &self.connect_timeout)
            .field("confirm_timeout", &self.confirm_timeout)
            .field("reconnect_timeout", &self.reconnect_timeout)
            .field("heartbeat", &self.heartbeat)
            .field("in_background", &self.in_background)
            .field("recreate_after", &self.recreate_after)
            .finish_non_exhaustive()
    }
}
