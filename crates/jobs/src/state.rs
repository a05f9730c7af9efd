//! States of an edit, leases, failures.
//!
//! ```
//! # use limekiln_jobs::{Failure, FailureClass};
//! let failure = Failure::new(FailureClass::User, "instruction_too_long", "the instruction has 91 tokens, of at most 77");
//! assert_eq!(serde_json::to_value(&failure).unwrap()["class"], "user");
//! ```

use crate::events::EventKind;
use crate::ids::{EditId, WorkerId};
use serde::{Deserialize, Serialize};
use std::fmt;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// How often an edit was claimed. It only grows: whoever names an older one is refused.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = u32, example = 1)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch before the first claim.
    pub const NONE: Self = Self(0);
    /// The last epoch: the column that keeps it is a signed 32-bit integer.
    pub const LAST: Self = Self(i32::MAX as u32);

    /// The epoch of this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The epoch of the next claim; none after the last.
    pub fn next(self) -> Option<Self> {
        (self < Self::LAST).then(|| Self(self.0 + 1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All that the state machine knows of an edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// The edit.
    pub edit: EditId,
    /// The edit that it builds on.
    pub parent: Option<EditId>,
    /// Its state, with the details.
    pub state: State,
    /// How often it was claimed.
    pub epoch: Epoch,
    /// How often it failed, or lost its worker, without progress.
    pub attempts: u16,
    /// Number of attempts at which it fails for good.
    pub max_attempts: u16,
    /// Steps done in its newest checkpoint, both stages counted through; 0 without one.
    pub checkpoint_step: u32,
    /// `checkpoint_step` as of its last claim.
    pub claim_step: u32,
    /// How often it started over because its checkpoint could not be used.
    pub restarts: u16,
    /// How often the engine hung on it, or once on it among others. With one, it computes alone.
    pub hangs: u16,
    /// Number of its newest event; the first is 1.
    pub seq: u64,
}

/// The states of an edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It may not be released yet.
    Waiting(Wait),
    /// Any worker that holds its model may claim it.
    Queued,
    /// It is leased to a worker.
    Running(Lease),
    /// It is done, and its row refers to its results.
    Succeeded,
    /// It ended without a result.
    Failed(Failure),
    /// Its owner cancelled it.
    Cancelled,
}

/// What an edit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// The edit that it builds on.
    Turn(EditId),
    /// The time of its next attempt.
    Retry {
        /// That time, by the database's clock.
        until: OffsetDateTime,
    },
}

/// A worker's right to an edit, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The worker that holds it.
    pub worker: WorkerId,
    /// When the reaper may take it. Until the reaper does, it holds.
    pub expires_at: OffsetDateTime,
}

/// Why an attempt, or an edit, failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Who or what it is due to, and so whether the edit is tried again.
    pub class: FailureClass,
    /// Stable code, for programs.
    #[schema(example = "worker_died")]
    pub code: String,
    /// What went wrong, in a sentence for people.
    #[schema(example = "3 workers died with this edit; see the dead letters")]
    pub message: String,
}

impl Failure {
    /// Code of an edit on which the engine hung.
    pub const ENGINE_HUNG: &str = "engine_hung";
    /// Code of an edit whose workers died.
    pub const WORKER_DIED: &str = "worker_died";
    /// Code of an edit whose parent has no result.
    pub const PARENT_FAILED: &str = "parent_failed";

    /// A failure of this class.
    pub fn new(class: FailureClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

crate::text_enum::open_text_enum! {
    /// Who or what a failure is due to, and so whether the edit is tried again.
    pub enum FailureClass, "a class of failures" {
        /// The request. Another attempt would not help.
        User = "user",
        /// The service, and passing: the edit is tried again.
        Internal = "internal",
        /// The engine hung on it, and its worker had to end. It is tried once more, and no oftener.
        Hang = "hang",
        /// The engine hung or panicked on several edits in one call, this one among them. It is tried again, not charged, and
        /// computes alone from then on.
        Suspect = "suspect",
        /// Its workers died, as often as the edit may be tried.
        Poison = "poison",
        /// The edit that it builds on did not succeed.
        Parent = "parent",
    }
}

crate::text_enum::open_text_enum! {
    /// State of an edit.
    pub enum StateName, "a state" {
        /// It waits for the edit that it builds on, or for its next attempt.
        Waiting = "waiting",
        /// It waits for a worker.
        Queued = "queued",
        /// A worker runs it.
        Running = "running",
        /// It has a result.
        Succeeded = "succeeded",
        /// It ended without a result.
        Failed = "failed",
        /// Its owner cancelled it.
        Cancelled = "cancelled",
    }
}

impl StateName {
    /// Whether an edit in this state has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl State {
    /// The state without its details.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Waiting(_) => StateName::Waiting,
            Self::Queued => StateName::Queued,
            Self::Running(_) => StateName::Running,
            Self::Succeeded => StateName::Succeeded,
            Self::Failed(_) => StateName::Failed,
            Self::Cancelled => StateName::Cancelled,
        }
    }

    /// Whether the edit has ended. Only an operator's retry leaves such a state, and only `Failed`.
    pub const fn is_terminal(&self) -> bool {
        self.name().is_terminal()
    }

    /// The kind of the event that tells of reaching this state.
    pub const fn event(&self) -> EventKind {
        match self {
            Self::Waiting(Wait::Turn(_)) => EventKind::Waiting,
            Self::Waiting(Wait::Retry { .. }) => EventKind::Retrying,
            Self::Queued => EventKind::Queued,
            Self::Running(_) => EventKind::Started,
            Self::Succeeded => EventKind::Succeeded,
            Self::Failed(_) => EventKind::Failed,
            Self::Cancelled => EventKind::Cancelled,
        }
    }
}

impl Job {
    /// `max_attempts` of an edit whose request names none.
    pub const MAX_ATTEMPTS_DEFAULT: u16 = 3;
    /// Hangs of the engine at which an edit fails for good, whatever its `max_attempts`: each costs a worker.
    pub const HANGS_MAX: u16 = 2;

    /// A new edit of a picture that is there: queued, with its first event.
    pub fn new(edit: EditId, max_attempts: u16) -> Self {
        Self {
            edit,
            parent: None,
            state: State::Queued,
            epoch: Epoch::NONE,
            attempts: 0,
            max_attempts: max_attempts.max(1),
            checkpoint_step: 0,
            claim_step: 0,
            restarts: 0,
            hangs: 0,
            seq: 1,
        }
    }

    /// A new edit of another's result: queued once that one has succeeded, waiting before.
    pub fn turn(edit: EditId, parent: EditId, parent_succeeded: bool, max_attempts: u16) -> Self {
        let state = if parent_succeeded {
            State::Queued
        } else {
            State::Waiting(Wait::Turn(parent))
        };
        Self {
            parent: Some(parent),
            state,
            ..Self::new(edit, max_attempts)
        }
    }

    /// The live lease, if there is one.
    pub const fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Running(lease) => Some(lease),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_end_where_the_column_does() {
        assert_eq!(Epoch::NONE.next(), Some(Epoch::new(1)));
        assert_eq!(Epoch::LAST.next(), None);
        assert!(i32::try_from(Epoch::LAST.get()).is_ok());
    }
}
