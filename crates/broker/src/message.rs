//! What travels through the broker: the hint that names an edit, the stop, and what a subscriber receives.

use std::sync::Arc;

use limekiln_jobs::{Class, EditId, Epoch, Live, ModelName, SessionId, TenantId};
use serde::{Deserialize, Serialize};

use crate::queue::Queue;

/// "This edit may be claimed".
///
/// Only `edit` is trusted after the claim. The other fields are copies of the edit's row that save a read of Postgres.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// The edit to claim.
    pub edit: EditId,
    /// The tenant that submitted the edit.
    pub tenant: TenantId,
    /// The model that the edit asks for. Model and class name the queue.
    pub model: ModelName,
    /// Whether the edit goes before others (interactive) or not (bulk). A bulk edit that has waited for long goes with the
    /// interactive ones.
    pub class: Class,
    /// The cohort of workers that the message is for; it is for all of the model without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// How many times the edit has been announced, this time included.
    #[serde(default)]
    pub announcement: u32,
    /// The W3C `traceparent` of the submission. It travels as a header of the message.
    #[serde(skip)]
    pub trace: Option<String>,
}

impl Hint {
    /// The queue that it goes to.
    pub(crate) fn queue(&self) -> Queue {
        Queue::new(&self.model, self.class, self.cohort.as_deref())
    }
}

/// Names one run of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The edit.
    pub edit: EditId,
    /// The epoch under which it runs. A run under a later epoch goes on.
    pub epoch: Epoch,
}

/// Asks the worker that runs an edit to end the run at its next step. A worker that knows only stops can't read the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stop {
    /// The edit gives its slot to another, and goes on later from a checkpoint.
    Aside {
        /// Which run.
        step_aside: Run,
    },
    /// The edit was cancelled, or another worker has it.
    End(Run),
}

impl Stop {
    /// The run that ends.
    #[must_use]
    pub fn run(&self) -> Run {
        match *self {
            Self::Aside { step_aside: run } | Self::End(run) => run,
        }
    }
}

/// Whose live messages a [`Subscription`](crate::Subscription) receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Followed {
    /// One edit's.
    Edit(EditId),
    /// Those of all turns of a session.
    Session(SessionId),
}

impl Followed {
    /// All whose subscribers a message is for.
    pub(crate) fn of(live: &Live) -> impl Iterator<Item = Self> {
        let edit = live.edit().map(Self::Edit);
        edit.into_iter().chain(live.session().map(Self::Session))
    }
}

impl From<EditId> for Followed {
    fn from(edit: EditId) -> Self {
        Self::Edit(edit)
    }
}

impl From<SessionId> for Followed {
    fn from(session: SessionId) -> Self {
        Self::Session(session)
    }
}

/// What a [`Subscription`](crate::Subscription) receives.
#[derive(Debug, Clone)]
pub enum Update {
    /// An event or a preview of the edit.
    Live(Arc<Live>),
    /// Updates may have been missed, because the reader was slow or the connection was lost: read the events from
    /// Postgres again.
    Lagged,
}
