//! What people decide: cancel, and retry by hand.

use limekiln_jobs::{EditId, Epoch, StateName, TenantId, WorkerId};

use crate::{Result, Store};

/// What became of a cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancel {
    /// Cancelled at once; a running worker is fenced out.
    Cancelled {
        /// Number of its newest event.
        seq: u64,
        /// Who was running it.
        was_running: Option<(WorkerId, Epoch)>,
    },
    /// It had ended.
    AlreadyEnded(StateName),
    /// No such edit of this tenant.
    Missing,
}

/// What became of a retry by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// Queued again, with no attempt charged.
    Queued {
        /// Number of its newest event.
        seq: u64,
    },
    /// Only a failed edit can be retried; this is what it is. A turn whose parent has no result stays failed.
    NotFailed(StateName),
    /// No such edit.
    Missing,
}

impl Store {
    /// Cancels an edit that has not ended.
    pub async fn edit_cancel(&self, tenant: TenantId, edit: EditId) -> Result<Cancel> {
        let _ = (tenant, edit);
        todo!()
    }

    /// Queues a failed edit again, on an operator's word: not counted against the tenant's limits before it runs,
    /// but in flight as any other afterwards.
    pub async fn edit_retry(&self, edit: EditId) -> Result<Retried> {
        let _ = edit;
        todo!()
    }
}
