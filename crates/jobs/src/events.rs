//! The history of an edit, as the log keeps it and watchers read it.

use crate::ids::EditId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// One entry in the history of an edit. Its identity is `(edit, seq)`; `seq` has no gaps and starts at 1.
///
/// What `data` holds, by kind; readers ignore fields they do not know:
///
/// | kind | data |
/// |---|---|
/// | `waiting` | `parent` |
/// | `queued` | `attempts` |
/// | `started` | `epoch`, `attempts`, `worker`, `checkpoint_step` |
/// | `progress` | `stage`, `step`, `steps` |
/// | `retrying` | `attempts`, `retry_at`, `error` |
/// | `succeeded` | nothing |
/// | `failed` | `attempts`, `error` |
/// | `cancelled` | nothing |
///
/// ```
/// # use limekiln_jobs::{EditEvent, EventKind};
/// let event: EditEvent = serde_json::from_str(
///     r#"{"edit": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "seq": 3, "at": "2025-01-02T03:04:05.678Z",
///         "kind": "progress", "data": {"stage": "locate", "step": 7, "steps": 30}}"#,
/// ).unwrap();
/// assert_eq!(event.kind, EventKind::Progress);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EditEvent {
    /// Whose.
    pub edit: EditId,
    /// Its number in the edit's history, from 1.
    #[schema(example = 3)]
    pub seq: u64,
    /// When, on the database's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What happened.
    pub kind: EventKind,
    /// Its details.
    #[schema(value_type = Object, example = json!({"stage": "locate", "step": 7, "steps": 30}))]
    pub data: Value,
}

/// What happened to an edit.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Accepted; the turn it builds on is not done.
    Waiting,
    /// Accepted, or given back: a worker may take it.
    Queued,
    /// A worker took it.
    Started,
    /// Steps were done.
    Progress,
    /// It failed and will be tried again.
    Retrying,
    /// It has a result.
    Succeeded,
    /// It ended without one.
    Failed,
    /// Its owner ended it.
    Cancelled,
}

/// The text names no kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event is one of waiting, queued, started, progress, retrying, succeeded, failed, cancelled"
)]
pub struct UnknownEvent;

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Queued,
        Self::Started,
        Self::Progress,
        Self::Retrying,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Progress => "progress",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the history ends with it, unless somebody retries the edit by hand.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

crate::spelled::spelled!(EventKind, UnknownEvent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back_and_json_agrees() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!("done".parse::<EventKind>(), Err(UnknownEvent));
    }
}
