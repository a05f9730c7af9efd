//! What travels through the broker: the hint that names an edit, the stop, and what a subscriber receives.

use std::sync::Arc;

use limekiln_jobs::{Class, Digest, EditId, Epoch, Live, ModelName, SessionId, TenantId};
use serde::{Deserialize, Serialize};

/// "This edit may be claimed": names the edit, and carries what a worker needs to fetch its input while it claims it.
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
    /// Whether somebody waits for the edit (interactive) or not (bulk).
    pub class: Class,
    /// The picture that the edit starts from, so that a worker can fetch it ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// How many times the edit has been announced, this time included.
    #[serde(default)]
    pub announcement: u32,
    /// The W3C `traceparent` of the submission. It travels as a header of the message.
    #[serde(skip)]
    pub trace: Option<String>,
}

/// A blob that a worker may fetch before it has claimed the edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The blob's key in the bucket.
    pub key: String,
    /// The hash that the blob's content must have.
    pub digest: Digest,
    /// The blob's length.
    pub bytes: u64,
}

/// Asks the worker that runs an edit to stop it at its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The edit to stop.
    pub edit: EditId,
    /// The epoch under which the edit runs. A run under a later epoch goes on.
    pub epoch: Epoch,
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
