//! What a gateway asks of the coordinator: submit, cancel, retry by hand.

use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_jobs::{EditId, TenantId};
use limekiln_store::{Cancel, Retried, Store, Submission, Submitted};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::writer::{Waiting, write};
use crate::{Error, live};

/// The most that wait for one.
const QUEUE: usize = 1024;
/// How long a submission may take, outages of Postgres included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits for a place in a full queue: an outage, or too much load, and the client should hear of it soon.
const PLACE: Duration = Duration::from_secs(1);
/// The writer keeps to the same patience; this much more is for a statement that hangs.
const SLACK: Duration = Duration::from_secs(1);

/// Writes edits to Postgres and wakes the coordinators. Clones share one queue; the last one dropped ends it.
#[derive(Clone, Debug)]
pub struct Submitter {
    store: Store,
    broker: Broker,
    queue: mpsc::Sender<Waiting>,
}

impl Submitter {
    /// Starts the task that writes; needs a tokio runtime.
    pub fn new(store: Store, broker: Broker) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write(store.clone(), broker.clone(), waiting));
        Self {
            store,
            broker,
            queue,
        }
    }

    /// Writes the edit and wakes the coordinators. Once this returned `Created` the edit will end, whatever dies.
    ///
    /// Dropped before it returned, the edit may have been written or not.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when too many wait, [`Error::Slow`] when it was not known within 10 s whether it was
    /// written, and Postgres' own.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, Error> {
        let now = Instant::now();
        let until = now + PATIENCE;
        let (answer, answered) = oneshot::channel();
        let place = match timeout_at(now + PLACE, self.queue.reserve()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Error::Closed),
            Err(_) => return Err(Error::Overloaded),
        };
        place.send(Waiting {
            submission,
            until,
            answer,
        });
        match timeout_at(until + SLACK, answered).await {
            Ok(Ok(submitted)) => submitted,
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::Slow),
        }
    }

    /// Cancels the edit at once. A worker that runs it is told, and is fenced out whether it hears or not.
    ///
    /// # Errors
    /// Postgres'.
    pub async fn cancel(&self, tenant: TenantId, edit: EditId) -> Result<Cancel, Error> {
        let cancel = self.store.edit_cancel(tenant, edit).await?;
        if let Cancel::Cancelled { seq, was_running } = &cancel {
            if let Some((worker, epoch)) = was_running {
                tracing::debug!(%edit, %worker, %epoch, "cancelled while running");
                self.broker.stop(edit, *epoch);
            }
            // Turns that build on it end too, and its place in the window is free.
            self.broker.wake();
            live::publish(&self.store, &self.broker, edit, *seq).await;
        }
        Ok(cancel)
    }

    /// Queues a failed edit again, on an operator's word.
    ///
    /// # Errors
    /// Postgres'.
    pub async fn retry(&self, edit: EditId) -> Result<Retried, Error> {
        let retried = self.store.edit_retry(edit).await?;
        if let Retried::Queued { seq } = &retried {
            self.broker.wake();
            live::publish(&self.store, &self.broker, edit, *seq).await;
        }
        Ok(retried)
    }
}
