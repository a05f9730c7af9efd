//! What edits have to say to Postgres, in as few statements as there can be: each kind of write has one
//! [`Writer`](limekiln_store::Writer), and tries until it is answered. `writes` has the kinds.

mod writes;

use std::time::Duration;

use limekiln_jobs::{EditId, Epoch, WorkerId};
use limekiln_store::{
    Checkpointed, Claimed, Completion, Failed, Progressed, Store, Write, WriteError, Writer,
};

use crate::leases::Leases;
use writes::{Checkpoints, Claims, Completions, Failures, HandBacks, Progresses};

/// The process' way to Postgres. Every write waits for its answer for as long as the process lives; what becomes of an
/// edit whose write fails is the reaper's.
#[derive(Clone)]
pub(crate) struct Ledger {
    claims: Writer<Claims>,
    progresses: Writer<Progresses>,
    checkpoints: Writer<Checkpoints>,
    completions: Writer<Completions>,
    failures: Writer<Failures>,
    hand_backs: Writer<HandBacks>,
}

impl Ledger {
    /// Starts the writers; they end when the last clone is dropped.
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
            claims: Writer::new(claims),
            progresses: Writer::new(Progresses(store.clone())),
            checkpoints: Writer::new(Checkpoints(store.clone())),
            completions: Writer::new(Completions(store.clone())),
            failures: Writer::new(Failures(store.clone())),
            hand_backs: Writer::new(HandBacks(store.clone())),
        }
    }

    /// Claims an edit; none where it can't be claimed.
    pub(crate) async fn edit_claim(
        &self,
        edit: EditId,
    ) -> Result<Option<Box<Claimed>>, WriteError> {
        self.claims.write(edit).await
    }

    /// Records progress.
    pub(crate) async fn edit_progress(&self, progress: Progressed) -> Result<Write, WriteError> {
        self.progresses.write(progress).await
    }

    /// Refers to a checkpoint; beside the answer, the key that nothing refers to any more.
    pub(crate) async fn edit_checkpoint(
        &self,
        checkpoint: Checkpointed,
    ) -> Result<(Write, Option<String>), WriteError> {
        self.checkpoints.write(checkpoint).await
    }

    /// Ends an edit with its results.
    pub(crate) async fn edit_complete(&self, completion: Completion) -> Result<Write, WriteError> {
        self.completions.write(completion).await
    }

    /// Ends an attempt.
    pub(crate) async fn edit_fail(&self, failed: Failed) -> Result<Write, WriteError> {
        self.failures.write(failed).await
    }

    /// Gives a lease back.
    pub(crate) async fn edit_hand_back(
        &self,
        edit: EditId,
        epoch: Epoch,
    ) -> Result<Write, WriteError> {
        self.hand_backs.write((edit, epoch)).await
    }
}
