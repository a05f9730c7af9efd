//! Writes under a lease. All are fenced by edit, epoch and `state = 'running'`, and index-aligned with their input.

use std::time::Duration;

use limekiln_jobs::{Digest, EditId, Epoch, WorkerId};

use crate::{Result, Store, Write};

/// A saved state of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Key of the blob.
    pub key: String,
    /// Steps done, over both stages.
    pub step: u32,
    /// Digest of the content.
    pub digest: Digest,
    /// Length in bytes.
    pub bytes: u64,
}

/// An edit got further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progressed {
    /// The edit.
    pub edit: EditId,
    /// The lease's epoch.
    pub epoch: Epoch,
    /// What is being done.
    pub stage: String,
    /// Steps done.
    pub step: u32,
    /// Steps in all.
    pub steps: u32,
}

/// An edit's state was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpointed {
    /// The edit.
    pub edit: EditId,
    /// The lease's epoch.
    pub epoch: Epoch,
    /// What was saved.
    pub checkpoint: Checkpoint,
}

impl Store {
    /// Extends leases to `ttl` from now.
    pub async fn leases_renew(
        &self,
        worker: WorkerId,
        leases: &[(EditId, Epoch)],
        ttl: Duration,
    ) -> Result<Vec<Write>> {
        let _ = (worker, leases, ttl);
        todo!()
    }

    /// Records progress, each an event.
    pub async fn edits_progress(&self, progress: &[Progressed]) -> Result<Vec<Write>> {
        let _ = progress;
        todo!()
    }

    /// Refers to checkpoints that were just put.
    ///
    /// The key beside each answer is the one nothing refers to now, to be deleted: the checkpoint that was replaced,
    /// or the offered one when the lease is gone or the stored checkpoint is at the same step or further (which is
    /// still `Applied`: the lease holds).
    pub async fn edits_checkpoint(&self, checkpoints: &[Checkpointed]) -> Result<Vec<(Write, Option<String>)>> {
        let _ = checkpoints;
        todo!()
    }

    /// Gives leases back at shutdown: queued again, no attempt charged.
    pub async fn edits_hand_back(&self, leases: &[(EditId, Epoch)]) -> Result<Vec<Write>> {
        let _ = leases;
        todo!()
    }
}
