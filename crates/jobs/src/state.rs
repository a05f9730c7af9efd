//! Where an edit stands.

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
    /// Before the first claim.
    pub const NONE: Self = Self(0);
    /// The last one: the column that keeps it is a signed 32-bit integer.
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

/// All that the machine knows of an edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Whose state this is.
    pub edit: EditId,
    /// The turn it builds on.
    pub parent: Option<EditId>,
    /// Where it stands.
    pub state: State,
    /// How often it was claimed.
    pub epoch: Epoch,
    /// Deaths and failures without progress.
    pub attempts: u16,
    /// At that many attempts it fails for good.
    pub max_attempts: u16,
    /// Steps done in its newest checkpoint, both stages counted through; 0 without one.
    pub checkpoint_step: u32,
    /// `checkpoint_step` as of its last claim.
    pub claim_step: u32,
    /// Number of its last event; the first is 1.
    pub seq: u64,
}

/// The states of an edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not to be released yet.
    Waiting(Wait),
    /// To be claimed by any worker that holds its model.
    Queued,
    /// Leased to a worker.
    Running(Lease),
    /// Done; its results are referenced.
    Succeeded,
    /// Ended without a result.
    Failed(Failure),
    /// Ended by its owner.
    Cancelled,
}

/// What an edit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// The turn it builds on.
    Turn(EditId),
    /// The time of its next attempt.
    Retry {
        /// That time, on the database's clock.
        until: OffsetDateTime,
    },
}

/// A worker's right to an edit, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Who holds it.
    pub worker: WorkerId,
    /// From then on the reaper may take it; until the reaper does, it holds.
    pub expires_at: OffsetDateTime,
}

/// Why an edit failed.
///
/// ```
/// # use limekiln_jobs::{Failure, FailureClass};
/// let failure = Failure::new(FailureClass::User, "instruction_too_long", "the instruction has 91 tokens, of at most 77");
/// assert_eq!(serde_json::to_value(&failure).unwrap()["class"], "user");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Whose fault it is, and so whether it is tried again.
    pub class: FailureClass,
    /// Stable name for programs.
    #[schema(example = "worker_died")]
    pub code: String,
    /// For people.
    #[schema(example = "3 workers died with this edit; see the dead letters")]
    pub message: String,
}

impl Failure {
    /// Code of an edit that outlived no worker.
    pub const WORKER_DIED: &str = "worker_died";
    /// Code of a turn whose predecessor has no result.
    pub const PARENT_FAILED: &str = "parent_failed";

    /// A failure of that class.
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

/// Classes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The request's; trying again would not help.
    User,
    /// Ours, and passing; tried again.
    Internal,
    /// Its workers died, as often as it may be tried.
    Poison,
    /// The turn it builds on did not succeed.
    Parent,
}

/// A state without its details, as the API and the `state` column spell it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Waits for the turn it builds on, or for its next attempt.
    Waiting,
    /// Waits for a worker.
    Queued,
    /// A worker is at it.
    Running,
    /// Has a result.
    Succeeded,
    /// Ended without a result.
    Failed,
    /// Ended by its owner.
    Cancelled,
}

/// The text names no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a state is one of waiting, queued, running, succeeded, failed, cancelled")]
pub struct UnknownState;

impl StateName {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is an end.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

crate::spelled::spelled!(StateName, UnknownState);

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

    /// Whether it is an end; only a retry by hand leaves one, and only `Failed`.
    pub const fn is_terminal(&self) -> bool {
        self.name().is_terminal()
    }

    /// The kind of the event that tells of having come here.
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
    /// Attempts of an edit whose request does not say.
    pub const MAX_ATTEMPTS_DEFAULT: u16 = 3;

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
    fn names_read_back_and_json_agrees() {
        for name in StateName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
        assert_eq!("done".parse::<StateName>(), Err(UnknownState));
    }

    #[test]
    fn epochs_end_where_the_column_does() {
        assert_eq!(Epoch::NONE.next(), Some(Epoch::new(1)));
        assert_eq!(Epoch::LAST.next(), None);
        assert!(i32::try_from(Epoch::LAST.get()).is_ok());
    }
}
