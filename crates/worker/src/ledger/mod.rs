//! Writes of all edits to Postgres: each kind of write has one [`Writer`](limekiln_store::Writer), which puts whatever
//! waits into one statement and repeats that until it is answered. `writes` has the kinds.

mod writes;

use std::time::Duration;

use limekiln_jobs::{EditId, Epoch, Needs, WorkerId};
use limekiln_store::{
    Checkpointed, Claimed, Completion, Failed, Progressed, Store, Write, WriteError, Writer,
};

use crate::leases::Leases;
use writes::{
    Charges, Checkpoints, Claims, Completions, Failures, HandBacks, PassOns, Progresses, StartOvers,
};

/// The writers that all edits of the worker share. A write waits for its answer for as long as the process lives. An edit
/// whose write is refused is left to the reaper, which takes it when its lease runs out.
#[derive(Clone)]
pub(crate) struct Ledger {
    claims: Writer<Claims>,
    progresses: Writer<Progresses>,
    checkpoints: Writer<Checkpoints>,
    completions: Writer<Completions>,
    failures: Writer<Failures>,
    hand_backs: Writer<HandBacks>,
    charges: Writer<Charges>,
    pass_ons: Writer<PassOns>,
    start_overs: Writer<StartOvers>,
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
            charges: Writer::new(Charges(store.clone())),
            pass_ons: Writer::new(PassOns(store.clone())),
            start_overs: Writer::new(StartOvers(store.clone())),
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

    /// Refers to a checkpoint. The key beside the answer is the one that the edit's row does not refer to now.
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

    /// Ends an attempt with a failure.
    pub(crate) async fn edit_fail(&self, failed: Failed) -> Result<Write, WriteError> {
        self.failures.write(failed).await
    }

    /// Hands a lease back, so that another worker can go on.
    pub(crate) async fn edit_hand_back(
        &self,
        edit: EditId,
        epoch: Epoch,
        gpu_ms: u64,
    ) -> Result<Write, WriteError> {
        self.hand_backs.write((edit, epoch, gpu_ms)).await
    }

    /// Charges device time for an edit that ended while it computed here.
    pub(crate) async fn edit_charge(
        &self,
        edit: EditId,
        epoch: Epoch,
        gpu_ms: u64,
    ) -> Result<Write, WriteError> {
        self.charges.write((edit, epoch, gpu_ms)).await
    }

    /// Hands a lease back, so that a worker which can do these needs takes the edit.
    pub(crate) async fn edit_pass_on(
        &self,
        edit: EditId,
        epoch: Epoch,
        needs: Needs,
    ) -> Result<Write, WriteError> {
        self.pass_ons.write((edit, epoch, needs)).await
    }

    /// Forgets the checkpoint of this key: the edit starts over.
    pub(crate) async fn edit_start_over(
        &self,
        edit: EditId,
        epoch: Epoch,
        key: String,
    ) -> Result<Write, WriteError> {
        self.start_overs.write((edit, epoch, key)).await
    }
}
