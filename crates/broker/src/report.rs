//! What `doctor` and the admin routes are told.

use limekiln_jobs::Class;
use serde::Serialize;

/// How full one queue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// The queue's name.
    pub queue: String,
    /// Its class; none for the dead-letter queue.
    pub class: Option<Class>,
    /// Messages waiting. Those delivered and not acked are not counted.
    pub ready: u64,
    /// Consumers attached.
    pub consumers: u64,
}

/// What a look at the broker found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Product and version, such as `RabbitMQ 3.10.8`; or `in process`.
    pub server: String,
    /// One line for each thing looked at, in order.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is broken. Warnings are allowed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.level != Level::Broken)
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at: `version`, `permissions`, `queues`, ...
    pub subject: &'static str,
    /// What was seen, and when it isn't well, what to do.
    pub message: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Fine,
    /// Works; better changed.
    Warning,
    /// The fleet can't work like this.
    Broken,
}
