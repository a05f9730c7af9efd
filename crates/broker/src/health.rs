//! What [`Broker::check`](crate::Broker::check) finds, for `limekiln doctor`.

use serde::Serialize;

use crate::Error;

/// The state of the broker.
#[derive(Debug, Clone, Serialize)]
pub struct HealthReport {
    /// The server's product and version, such as `RabbitMQ 3.10.8`, or `in process`.
    pub server: String,
    /// One finding for each thing that was checked, in the order of the checks.
    pub findings: Vec<Finding>,
}

impl HealthReport {
    /// Whether nothing is broken. Warnings are allowed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.level != Level::Broken)
    }
}

/// The outcome of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad the outcome is.
    pub level: Level,
    /// What was checked: `version`, `connection`, `exchanges`, `queues`, `dead letters` or `message`.
    pub subject: &'static str,
    /// What was found and, unless all is well, what to do about it.
    pub message: String,
}

impl Finding {
    pub(crate) fn fine(subject: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Fine,
            subject,
            message: message.into(),
        }
    }

    pub(crate) fn warning(subject: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::fine(subject, message)
        }
    }

    pub(crate) fn broken(subject: &'static str, error: &Error) -> Self {
        Self {
            level: Level::Broken,
            ..Self::fine(subject, error.to_string())
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All is well.
    Fine,
    /// The fleet works, but something should be changed.
    Warning,
    /// The fleet can't work like this.
    Broken,
}
