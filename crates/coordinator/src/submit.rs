//! What a gateway asks of the coordinator: submit, cancel, retry by hand. Submissions that come at once are written at
//! once.

use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_jobs::{EditId, Live, SessionId, StateName, TenantId};
use limekiln_store::{
    Cancel, Deleted, Retried, Statement, Store, Submission, Submitted, WriteError, Writer,
};

use crate::{Error, live};

/// Rounds in which a session is deleted: each takes 2,000 turns, and those that come in meanwhile.
const DELETE_ROUNDS: u32 = 64;

/// Writes edits to Postgres and wakes the coordinators. Clones share one queue; the last one dropped ends it.
#[derive(Clone, Debug)]
pub struct Submitter {
    store: Store,
    broker: Broker,
    writer: Writer<Submissions>,
}

impl Submitter {
    /// Starts the task that writes; needs a tokio runtime.
    pub fn new(store: Store, broker: Broker) -> Self {
        let submissions = Submissions {
            store: store.clone(),
            broker: broker.clone(),
        };
        Self {
            store,
            broker,
            writer: Writer::new(submissions),
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
        let session = submission.session;
        let submitted = self.writer.write(submission).await?;
        if let (Submitted::Created { .. }, Some(session)) = (&submitted, session) {
            self.session_changed(session);
        }
        Ok(submitted)
    }

    /// Tells the watchers of a session that there is something new to read.
    pub fn session_changed(&self, session: SessionId) {
        self.broker.publish_live(&Live::Session { session });
    }

    /// Deletes a session: cancels its turns, then deletes them and all that is left of them, and it at last.
    ///
    /// # Errors
    /// Postgres'.
    pub async fn session_delete(
        &self,
        tenant: TenantId,
        session: SessionId,
    ) -> Result<Deleted, Error> {
        let mut deleted = Deleted::Live;
        for _ in 0..DELETE_ROUNDS {
            let cancelled = self.store.session_turns_cancel(tenant, session).await?;
            for one in cancelled.iter().filter(|one| one.was_running) {
                self.broker.stop(one.edit, one.epoch);
            }
            if !cancelled.is_empty() {
                // Their places in the window are free.
                self.broker.wake();
            }
            deleted = self.store.session_delete(tenant, session).await?;
            if deleted != Deleted::Live {
                self.session_changed(session);
                break;
            }
        }
        Ok(deleted)
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

/// The statement that submits, and the wake that follows it.
struct Submissions {
    store: Store,
    broker: Broker,
}

impl Submissions {
    fn wake<'a>(&self, mut submitted: impl Iterator<Item = &'a Submitted>) {
        let is_queued = |submitted: &Submitted| {
            matches!(
                submitted,
                Submitted::Created {
                    state: StateName::Queued,
                    ..
                }
            )
        };
        if submitted.any(is_queued) {
            self.broker.wake();
        }
    }
}

impl Statement for Submissions {
    const NAME: &'static str = "submit";
    const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));
    type Item = Submission;
    type Answer = Submitted;

    /// Repeated as it was, the statement finds what an earlier try wrote by the edits' ids.
    async fn write(
        &self,
        submissions: &[Submission],
        _again: bool,
    ) -> limekiln_store::Result<Vec<Submitted>> {
        let submitted = self.store.edits_submit(submissions).await?;
        self.wake(submitted.iter());
        Ok(submitted)
    }

    /// A tenant whose row somebody holds keeps no other waiting.
    async fn write_free(
        &self,
        submissions: &[Submission],
        _again: bool,
        hurry: bool,
    ) -> limekiln_store::Result<Vec<Option<Submitted>>> {
        let submitted = self.store.edits_submit_free(submissions, hurry).await?;
        self.wake(submitted.iter().flatten());
        Ok(submitted)
    }

    fn on_held(&self, submissions: usize) {
        metrics::counter!("limekiln_submit_held_total").increment(submissions as u64);
    }

    fn on_batch(&self, submissions: usize) {
        metrics::histogram!("limekiln_submit_batch_edits").record(submissions as f64);
    }

    fn on_written(&self, took: Duration) {
        metrics::histogram!("limekiln_submit_seconds").record(took);
    }

    fn on_answer(&self, answer: &Result<Submitted, WriteError>) {
        let outcome = match answer {
            Ok(Submitted::Created { .. }) => "created",
            Ok(Submitted::Replayed { .. }) => "replayed",
            Ok(Submitted::InFlight { .. } | Submitted::RateLimited { .. }) => "limited",
            Ok(_) => "refused",
            Err(_) => "failed",
        };
        metrics::counter!("limekiln_submitted_total", "outcome" => outcome).increment(1);
    }
}
