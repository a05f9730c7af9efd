//! The fleet as a whole: pause, and what ended dead.

use limekiln_jobs::{Class, EditId, Failure, ModelName, TenantId, WorkerId};
use time::OffsetDateTime;

use crate::{Result, Store};

/// An edit that failed and not through its user's doing.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The edit.
    pub edit: EditId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its model.
    pub model: ModelName,
    /// Its class.
    pub class: Class,
    /// Why.
    pub failure: Failure,
    /// Attempts charged.
    pub attempts: u16,
    /// The last worker that held it.
    pub worker: Option<WorkerId>,
    /// When it ended.
    pub finished_at: OffsetDateTime,
}

/// A page of dead letters, newest edit first.
#[derive(Debug, Clone)]
pub struct DeadLetterPage {
    /// The dead letters.
    pub letters: Vec<DeadLetter>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<EditId>,
}

impl Store {
    /// Stops the release of edits; running ones go on.
    pub async fn fleet_pause(&self) -> Result<()> {
        todo!()
    }

    /// Lets the release go on.
    pub async fn fleet_resume(&self) -> Result<()> {
        todo!()
    }

    /// Whether the release is stopped.
    pub async fn fleet_paused(&self) -> Result<bool> {
        todo!()
    }

    /// Failed edits of the classes internal and poison, of all tenants, older than `after`.
    pub async fn dead_letters(&self, after: Option<EditId>, limit: u32) -> Result<DeadLetterPage> {
        let _ = (after, limit);
        todo!()
    }
}
