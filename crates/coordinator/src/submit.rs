//! Submissions that arrive together are written together.

use limekiln_broker::Broker;
use limekiln_jobs::{EditId, TenantId};
use limekiln_store::{Cancel, Store, Submission, Submitted};

use crate::Error;

/// Writes edits to Postgres and wakes the coordinators. Clones share one queue; the last one dropped ends it.
#[derive(Clone, Debug)]
pub struct Submitter {
    store: Store,
    broker: Broker,
}

impl Submitter {
    /// Starts the task that writes; needs a tokio runtime.
    pub fn new(store: Store, broker: Broker) -> Self {
        Self { store, broker }
    }

    /// Writes the edit. Once this returned `Created`, the edit will end, whatever dies.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, Error> {
        let _ = submission;
        todo!()
    }

    /// Cancels the edit at once. A worker that runs it is told, and is fenced out whether it hears or not.
    pub async fn cancel(&self, tenant: TenantId, edit: EditId) -> Result<Cancel, Error> {
        let _ = (tenant, edit);
        todo!()
    }
}
