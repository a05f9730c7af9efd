//! What edits have to say to Postgres, in as few statements as there can be: whatever waits when a statement ends goes
//! into the next one. A statement that fails for want of a connection is said again until it is answered.
//!
//! # Layout
//!
//! - `lane`: one kind of statement: its queue, its batches, its retries
//! - `writes`: the kinds there are

mod lane;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use limekiln_jobs::{EditId, Epoch, WorkerId};
use limekiln_store::{Checkpointed, Claimed, Completion, Failed, Progressed, Store, Write};

use crate::leases::Leases;
use lane::Lane;
use writes::{Checkpoints, Claims, Completions, Failures, HandBacks, Progresses};

/// A write that Postgres refused for good, or that nobody answers any more. What becomes of the edit is the reaper's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) Arc<str>);

/// The process' way to Postgres. Every write waits for its answer for as long as the process lives.
#[derive(Clone)]
pub(crate) struct Ledger {
    claims: Lane<Claims>,
    progresses: Lane<Progresses>,
    checkpoints: Lane<Checkpoints>,
    completions: Lane<Completions>,
    failures: Lane<Failures>,
    hand_backs: Lane<HandBacks>,
}

impl Ledger {
    /// Lanes that end when the last clone is dropped.
    pub(crate) fn new(
        store: &Store,
        worker: WorkerId,
        lease_ttl: Duration,
        leases: &Leases,
    ) -> Self {
        let claims = Claims {
            store: store.clone(),
            worker,
            lease_ttl,
            leases: leases.clone(),
        };
        Self {
            claims: Lane::new(claims),
            progresses: Lane::new(Progresses(store.clone())),
            checkpoints: Lane::new(Checkpoints(store.clone())),
            completions: Lane::new(Completions(store.clone())),
            failures: Lane::new(Failures(store.clone())),
            hand_backs: Lane::new(HandBacks(store.clone())),
        }
    }

    /// Claims an edit; none where it can't be claimed.
    pub(crate) async fn edit_claim(&self, edit: EditId) -> Result<Option<Box<Claimed>>, Refused> {
        self.claims.write(edit).await
    }

    /// Records progress.
    pub(crate) async fn edit_progress(&self, progress: Progressed) -> Result<Write, Refused> {
        self.progresses.write(progress).await
    }

    /// Refers to a checkpoint; beside the answer, the key that nothing refers to any more.
    pub(crate) async fn edit_checkpoint(
        &self,
        checkpoint: Checkpointed,
    ) -> Result<(Write, Option<String>), Refused> {
        self.checkpoints.write(checkpoint).await
    }

    /// Ends an edit with its results.
    pub(crate) async fn edit_complete(&self, completion: Completion) -> Result<Write, Refused> {
        self.completions.write(completion).await
    }

    /// Ends an attempt.
    pub(crate) async fn edit_fail(&self, failed: Failed) -> Result<Write, Refused> {
        self.failures.write(failed).await
    }

    /// Gives a lease back.
    pub(crate) async fn edit_hand_back(
        &self,
        edit: EditId,
        epoch: Epoch,
    ) -> Result<Write, Refused> {
        self.hand_backs.write((edit, epoch)).await
    }
}
