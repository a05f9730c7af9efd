//! A worker takes edits under a lease.

use std::time::Duration;

use limekiln_jobs::{Class, EditId, Epoch, ModelName, SessionId, Spec, TenantId, WorkerId};

use crate::{BlobRef, Checkpoint, Result, Store};

/// An edit under a lease, with all a worker needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The edit.
    pub edit: EditId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its session.
    pub session: Option<SessionId>,
    /// The lease's epoch: every later write carries it.
    pub epoch: Epoch,
    /// The model it needs.
    pub model: ModelName,
    /// Its class.
    pub class: Class,
    /// What the engine is told.
    pub spec: Spec,
    /// What it starts from.
    pub input: BlobRef,
    /// Its mask; `spec.mask` is its digest.
    pub mask: Option<BlobRef>,
    /// Where an earlier attempt got to.
    pub checkpoint: Option<Checkpoint>,
    /// Number of its newest event.
    pub seq: u64,
    /// Attempts charged so far.
    pub attempts: u16,
    /// Attempts before it is given up.
    pub max_attempts: u16,
    /// `traceparent` of the request.
    pub trace: Option<String>,
}

impl Store {
    /// Claims the named edits, as far as they are queued: the next epoch, a lease for `ttl`.
    ///
    /// Answers are in the order of `edits`; `None` is an edit that cannot be claimed, for whatever reason.
    /// An id that is named twice is claimed once.
    pub async fn edits_claim(
        &self,
        worker: WorkerId,
        edits: &[EditId],
        ttl: Duration,
    ) -> Result<Vec<Option<Claimed>>> {
        let _ = (worker, edits, ttl);
        todo!()
    }

    /// What an earlier [`Store::edits_claim`] may have given this worker although its answer was lost: leases that
    /// this worker holds on the named edits, renewed for `ttl`. Name only edits that this worker is not working on.
    pub async fn edits_reclaim(
        &self,
        worker: WorkerId,
        edits: &[EditId],
        ttl: Duration,
    ) -> Result<Vec<Option<Claimed>>> {
        let _ = (worker, edits, ttl);
        todo!()
    }
}
