//! The history of an edit, as Postgres keeps it and watchers read it.
//!
//! ```
//! # use limekiln_jobs::{EditEvent, EventKind};
//! let event: EditEvent = serde_json::from_str(
//!     r#"{"edit": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "seq": 3, "at": "2025-01-02T03:04:05.678Z",
//!         "kind": "progress", "data": {"stage": "locate", "step": 7, "steps": 30}}"#,
//! ).unwrap();
//! assert_eq!(event.kind, EventKind::Progress);
//! ```

use crate::ids::{EditId, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An event in the history of an edit.
///
/// Which fields `data` has depends on `kind`. There may be more of them in later versions.
///
/// | `kind` | fields of `data` |
/// |---|---|
/// | `waiting` | `parent` |
/// | `queued` | `attempts` |
/// | `started` | `epoch`, `attempts`, `worker`, `checkpoint_step` |
/// | `located` | `png`: the region, white, in a small picture of the whole, as base64 of at most 8 KB |
/// | `progress` | `stage`, `step`, `steps` |
/// | `retrying` | `attempts`, `retry_at`, `error` |
/// | `succeeded` | |
/// | `failed` | `attempts`, `error` |
/// | `cancelled` | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EditEvent {
    /// The edit that it is about.
    pub edit: EditId,
    /// The session that the edit is a turn of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Number of the event in the edit's history, from 1 and without gaps.
    #[schema(example = 3)]
    pub seq: u64,
    /// When it happened, by the database's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What happened.
    pub kind: EventKind,
    /// What happened in detail. Which fields there are depends on `kind`.
    #[schema(value_type = Object, example = json!({"stage": "locate", "step": 7, "steps": 30}))]
    pub data: Value,
}

crate::text_enum::open_text_enum! {
    /// What happened to an edit.
    pub enum EventKind, "an event" {
        /// Accepted. It starts once the edit that it builds on has succeeded.
        Waiting = "waiting",
        /// Accepted, or given back by a worker. Any worker that holds its model may take it.
        Queued = "queued",
        /// A worker took it.
        Started = "started",
        /// The worker knows where the edit will change its picture. Short edits don't tell.
        Located = "located",
        /// The worker did more steps.
        Progress = "progress",
        /// An attempt failed. There will be another.
        Retrying = "retrying",
        /// The edit has a result.
        Succeeded = "succeeded",
        /// The edit ended without a result.
        Failed = "failed",
        /// The edit's owner cancelled it.
        Cancelled = "cancelled",
    }
}

impl EventKind {
    /// Whether the history ends with it, unless an operator retries the edit.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// What the `data` of an event of the kind `progress` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Stage of the edit, such as `locate` or `apply`.
    pub stage: String,
    /// Steps done, counted through all stages.
    pub step: u32,
    /// Steps of all stages together.
    pub steps: u32,
}

impl EditEvent {
    /// How far the edit is, of an event of the kind `progress`.
    pub fn progress(&self) -> Option<Progress> {
        (self.kind == EventKind::Progress)
            .then(|| Progress::deserialize(&self.data).ok())
            .flatten()
    }
}
