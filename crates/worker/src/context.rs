//! What every edit of a worker shares.

use limekiln_blobs::{Blobs, Cache};
use limekiln_broker::Broker;
use limekiln_jobs::WorkerId;
use limekiln_memory::Budget;
use limekiln_store::Store;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::admission::Admission;
use crate::engine::Engine;
use crate::leases::Leases;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::reuse::Memory;

/// What every edit of a worker shares.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) worker: WorkerId,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) blobs: Blobs,
    /// Inputs on disk; none where the worker uses no blobs.
    pub(crate) cache: Option<Cache>,
    /// What earlier edits computed, in memory.
    pub(crate) reuse: Memory,
    /// What edits may hold beside the models.
    pub(crate) memory: Budget,
    /// What edits may ask for.
    pub(crate) limits: Limits,
    pub(crate) ledger: Ledger,
    pub(crate) engine: Engine,
    pub(crate) leases: Leases,
    /// Cancelled when the shutdown begins.
    pub(crate) closing: CancellationToken,
    pub(crate) admission: watch::Sender<Admission>,
    /// Notified when an edit was claimed.
    pub(crate) claimed: Notify,
}

impl Context {
    /// From now on edits are taken, or no longer.
    pub(crate) fn set_admission(&self, admission: Admission) {
        self.admission.send_if_modified(|now| {
            let changes = *now != admission;
            *now = admission;
            changes
        });
    }
}
