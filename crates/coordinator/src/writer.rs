//! Submissions that arrive together are written together.
//!
//! One task writes; while one transaction is on its way the next batch gathers. At a thousand edits a second that is a
//! hundred transactions or so, each with its own wait for the disk; alone, an edit waits for nobody.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_jobs::{EditId, Retryable, StateName};
use limekiln_store::{Store, Submission, Submitted};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::Error;
use crate::duty::jitter;

/// The most submissions of one transaction.
const BATCH: usize = 256;
/// The first and the longest rest before a batch is written again.
const REST: Duration = Duration::from_millis(50);
const REST_MOST: Duration = Duration::from_secs(1);

/// A submission that is to be written, and who wants to know.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) submission: Submission,
    pub(crate) until: Instant,
    pub(crate) answer: oneshot::Sender<Result<Submitted, Error>>,
}

/// The task that writes, until the queue is closed and empty.
pub(crate) async fn write(store: Store, broker: Broker, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        // Whose client went away meanwhile is not written: nobody would know of it.
        batch.retain(|one| !one.answer.is_closed());
        if !batch.is_empty() && batch_write(&store, batch.drain(..)).await {
            broker.wake();
        }
    }
}

/// Writes and answers; whether an edit was queued by it.
async fn batch_write(store: &Store, batch: impl ExactSizeIterator<Item = Waiting>) -> bool {
    metrics::histogram!("limekiln_submit_batch_edits").record(batch.len() as f64);
    let start = Instant::now();
    let (submissions, waiting): (Vec<_>, Vec<_>) = batch
        .map(|one| (one.submission, (one.until, one.answer)))
        .unzip();
    let until = waiting
        .iter()
        .map(|(until, _)| *until)
        .min()
        .unwrap_or(start);
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
                queued |= reply(
                    answer,
                    submitted.and_then(|answers| answers.into_iter().next().ok_or(Error::Slow)),
                );
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

/// Writes a batch, again and again while the failure may pass, until the time is up. Answers are in the order of
/// `submissions`.
async fn submit(
    store: &Store,
    submissions: &[Submission],
    until: Instant,
) -> Result<Vec<Submitted>, Error> {
    let mut attempt = Attempt {
        store,
        submissions,
        answers: vec![None; submissions.len()],
    };
    let mut rest = REST;
    let mut doubt = false;
    loop {
        if Instant::now() >= until {
            return Err(Error::Slow);
        }
        let error = match timeout_at(until, attempt.write(doubt)).await {
            Ok(Ok(())) => return Ok(attempt.answers.into_iter().flatten().collect()),
            Ok(Err(error)) => error,
            Err(_) => return Err(Error::Slow),
        };
        if !error.is_transient() {
            // In doubt, an edit that is there already makes the batch fail for good. That is found out by looking.
            let there = if doubt {
                timeout_at(until, attempt.found()).await
            } else {
                Ok(Ok(false))
            };
            match there {
                Ok(Ok(true)) => {}
                Ok(Err(looking)) if looking.is_transient() => {}
                _ => return Err(error.into()),
            }
        }
        tracing::debug!(%error, edits = submissions.len(), "submissions are written again");
        doubt = true;
        sleep(jitter(rest)).await;
        rest = (rest * 2).min(REST_MOST);
    }
}

struct Attempt<'a> {
    store: &'a Store,
    submissions: &'a [Submission],
    answers: Vec<Option<Submitted>>,
}

impl Attempt<'_> {
    /// Writes what is not known to be written. With `doubt`, an earlier attempt's answer was lost, and what it wrote is
    /// looked for first: a submission's id is its own, so where an edit has it, that edit is the submission.
    async fn write(&mut self, doubt: bool) -> limekiln_store::Result<()> {
        if !doubt {
            self.answers = self
                .store
                .edits_submit(self.submissions)
                .await?
                .into_iter()
                .map(Some)
                .collect();
            return Ok(());
        }
        self.found().await?;
        let open: Vec<usize> = (0..self.answers.len())
            .filter(|at| self.answers[*at].is_none())
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let submissions: Vec<_> = open
            .iter()
            .map(|at| self.submissions[*at].clone())
            .collect();
        for (at, answer) in open
            .into_iter()
            .zip(self.store.edits_submit(&submissions).await?)
        {
            self.answers[at] = Some(answer);
        }
        Ok(())
    }

    /// Answers those that are there; whether any were.
    async fn found(&mut self) -> limekiln_store::Result<bool> {
        let ids: Vec<EditId> = self
            .submissions
            .iter()
            .map(|submission| submission.id)
            .collect();
        let there: HashSet<EditId> = self
            .store
            .events_heads(&ids)
            .await?
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        let mut any = false;
        for (submission, answer) in self.submissions.iter().zip(&mut self.answers) {
            if answer.is_some() || !there.contains(&submission.id) {
                continue;
            }
            if let Some(view) = self
                .store
                .edit_get(submission.tenant, submission.id)
                .await?
            {
                // What it was at first; it may be further by now.
                let state = if view.state == StateName::Waiting {
                    StateName::Waiting
                } else {
                    StateName::Queued
                };
                *answer = Some(Submitted::Created {
                    state,
                    created_at: view.created_at,
                    seq: 1,
                });
                any = true;
            }
        }
        Ok(any)
    }
}

/// Answers; whether an edit was queued.
fn reply(
    answer: oneshot::Sender<Result<Submitted, Error>>,
    submitted: Result<Submitted, Error>,
) -> bool {
    let outcome = match &submitted {
        Ok(Submitted::Created { .. }) => "created",
        Ok(Submitted::Replayed { .. }) => "replayed",
        Ok(Submitted::InFlight { .. } | Submitted::RateLimited { .. }) => "limited",
        Ok(_) => "refused",
        Err(_) => "failed",
    };
    metrics::counter!("limekiln_submitted_total", "outcome" => outcome).increment(1);
    let queued = matches!(
        submitted,
        Ok(Submitted::Created {
            state: StateName::Queued,
            ..
        })
    );
    // The client went away; its edit, if written, runs all the same.
    let _ = answer.send(submitted);
    queued
}
