//! Submissions that arrive together are written together.
//!
//! One task writes; while one transaction is on its way the next batch gathers. At a thousand edits a second that is a
//! hundred transactions or so, each with its own wait for the disk; alone, an edit waits for nobody.

use std::sync::Arc;
use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_jobs::{EditId, StateName, TenantId};
use limekiln_store::{Cancel, Retried, Store, Submission, Submitted};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::duty::jitter;
use crate::{Error, live};

/// The most submissions of one transaction.
const BATCH: usize = 256;
/// The most that wait for one.
const QUEUE: usize = 1024;
/// How long a submission may take, outages of Postgres included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits for a place in a full queue: an outage, or too much load, and the client should hear of it soon.
const PLACE: Duration = Duration::from_secs(1);
/// The first and the longest rest before a batch is written again.
const REST: Duration = Duration::from_millis(50);
const REST_MOST: Duration = Duration::from_secs(1);

/// Writes edits to Postgres and wakes the coordinators. Clones share one queue; the last one dropped ends it.
#[derive(Clone, Debug)]
pub struct Submitter {
    store: Store,
    broker: Broker,
    queue: mpsc::Sender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    submission: Submission,
    until: Instant,
    answer: oneshot::Sender<Result<Submitted, Error>>,
}

impl Submitter {
    /// Starts the task that writes; needs a tokio runtime.
    pub fn new(store: Store, broker: Broker) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write(store.clone(), broker.clone(), waiting));
        Self { store, broker, queue }
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
        place.send(Waiting { submission, until, answer });
        // The writer keeps to the same limit; the rest is for a statement that hangs.
        match timeout_at(until + REST_MOST, answered).await {
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

/// The task that writes.
async fn write(store: Store, broker: Broker, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        // Whose client went away meanwhile is not written: nobody would know of it.
        batch.retain(|one| !one.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        if batch_write(&store, std::mem::take(&mut batch)).await {
            broker.wake();
        }
        batch.reserve(BATCH);
    }
}

/// Writes and answers; whether an edit was queued by it.
async fn batch_write(store: &Store, batch: Vec<Waiting>) -> bool {
    metrics::histogram!("limekiln_submit_batch_edits").record(batch.len() as f64);
    let start = Instant::now();
    let (submissions, waiting): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|one| (one.submission, (one.until, one.answer))).unzip();
    let until = waiting.iter().map(|(until, _)| *until).min().unwrap_or(start);
    let mut queued = false;
    match submit(store, &submissions, until).await {
        Ok(answers) => {
            metrics::histogram!("limekiln_submit_seconds").record(start.elapsed());
            for ((_, answer), submitted) in waiting.into_iter().zip(answers) {
                queued |= reply(answer, Ok(submitted));
            }
        }
        Err(Error::Store(error)) if !error.is_transient() && submissions.len() > 1 => {
            // One of them is at fault; the others shall not pay for it.
            tracing::warn!(%error, edits = submissions.len(), "a batch of submissions was refused; writing them one by one");
            for ((until, answer), submission) in waiting.into_iter().zip(submissions) {
                let submitted = submit(store, std::slice::from_ref(&submission), until).await;
                queued |= reply(answer, submitted.and_then(|answers| answers.into_iter().next().ok_or(Error::Slow)));
            }
        }
        Err(Error::Store(error)) => {
            tracing::warn!(%error, edits = submissions.len(), "submissions were not written");
            let error = Arc::new(error);
            for (_, answer) in waiting {
                reply(answer, Err(Error::Batch(Arc::clone(&error))));
            }
        }
        Err(error) => {
            tracing::warn!(%error, edits = submissions.len(), "submissions were not written");
            for (_, answer) in waiting {
                reply(answer, Err(Error::Slow));
            }
        }
    }
    queued
}

/// Writes a batch, again and again while the failure may pass, until the time is up.
async fn submit(store: &Store, submissions: &[Submission], until: Instant) -> Result<Vec<Submitted>, Error> {
    let mut rest = REST;
    loop {
        if Instant::now() >= until {
            return Err(Error::Slow);
        }
        match timeout_at(until, store.edits_submit(submissions)).await {
            Ok(Ok(answers)) => return Ok(answers),
            Ok(Err(error)) if error.is_transient() && Instant::now() + rest < until => {
                tracing::debug!(%error, edits = submissions.len(), "submissions are written again");
                sleep(jitter(rest)).await;
                rest = (rest * 2).min(REST_MOST);
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Error::Slow),
        }
    }
}

/// Answers; whether an edit was queued.
fn reply(answer: oneshot::Sender<Result<Submitted, Error>>, submitted: Result<Submitted, Error>) -> bool {
    let outcome = match &submitted {
        Ok(Submitted::Created { .. }) => "created",
        Ok(Submitted::Replayed { .. }) => "replayed",
        Ok(Submitted::InFlight { .. } | Submitted::RateLimited { .. }) => "limited",
        Ok(_) => "refused",
        Err(_) => "failed",
    };
    metrics::counter!("limekiln_submitted_total", "outcome" => outcome).increment(1);
    let queued = matches!(submitted, Ok(Submitted::Created { state: StateName::Queued, .. }));
    // The client went away; its edit, if written, runs all the same.
    let _ = answer.send(submitted);
    queued
}
