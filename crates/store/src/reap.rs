//! What time brings: leases that died, retries that are due, turns whose parent ended.

use limekiln_jobs::{EditId, Epoch, StateName, TenantId, WorkerId};

use crate::{Result, Store};

/// An edit that was moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The edit.
    pub edit: EditId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its state now.
    pub state: StateName,
    /// Number of its newest event.
    pub seq: u64,
    /// The worker that lost the lease, when one did.
    pub worker: Option<WorkerId>,
}

impl Store {
    /// Takes leases that have expired: queued again, or failed as poison.
    pub async fn edits_reap(&self, limit: u32) -> Result<Vec<Moved>> {
        let _ = limit;
        todo!()
    }

    /// Queues failed attempts whose retry time has come.
    pub async fn edits_retry_due(&self, limit: u32) -> Result<Vec<Moved>> {
        let _ = limit;
        todo!()
    }

    /// Queues turns whose parent succeeded, fails those whose parent ended otherwise.
    pub async fn turns_unblock(&self, limit: u32) -> Result<Vec<Moved>> {
        let _ = limit;
        todo!()
    }
}
