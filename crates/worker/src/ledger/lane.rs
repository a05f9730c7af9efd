//! One kind of statement: its queue, its batches, its retries.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use limekiln_jobs::{ErrorKind, Retryable};
use limekiln_store::{Error, Result as Stored};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::Refused;
use crate::metrics;

/// The most that one statement writes.
const BATCH: usize = 256;
/// What waits beyond that waits in its sender.
const QUEUE: usize = 1024;
/// A statement that is not answered by then is said again.
const ANSWER: Duration = Duration::from_secs(10);
/// The first pause before a statement is said again, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(2);
/// How often an outage is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// A statement over arrays.
pub(super) trait Statement: Send + 'static {
    /// In logs and metrics.
    const NAME: &'static str;
    type Item: Clone + Send + Sync + 'static;
    type Answer: Send + 'static;

    /// Writes the items; answers are in their order. `again` says that an earlier try may have been done and its answer
    /// lost.
    fn write(
        &self,
        items: &[Self::Item],
        again: bool,
    ) -> impl Future<Output = Stored<Vec<Self::Answer>>> + Send;
}

type Reply<S> = oneshot::Sender<Result<<S as Statement>::Answer, Refused>>;
type Waiting<S> = (<S as Statement>::Item, Reply<S>);

/// A queue of items, and the task behind it.
pub(super) struct Lane<S: Statement>(mpsc::Sender<Waiting<S>>);

impl<S: Statement> Clone for Lane<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Statement + Sync> Lane<S> {
    pub(super) fn new(statement: S) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        // Ends with its last sender.
        tokio::spawn(drive(statement, receiver));
        Self(sender)
    }

    /// Waits for the answer.
    pub(super) async fn write(&self, item: S::Item) -> Result<S::Answer, Refused> {
        let gone = |_| Refused("the ledger's lane has ended".into());
        let (reply, answer) = oneshot::channel();
        self.0
            .send((item, reply))
            .await
            .map_err(|_| Refused("the ledger's lane has ended".into()))?;
        answer.await.map_err(gone)?
    }
}

async fn drive<S: Statement + Sync>(statement: S, mut queue: mpsc::Receiver<Waiting<S>>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut waiting, BATCH).await > 0 {
        let (items, replies): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        metrics::batch(S::NAME, items.len());
        match persist(&statement, &items, &replies).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(Ok(answer));
                }
            }
            Err(refused) if items.len() == 1 => {
                tracing::error!(write = S::NAME, %refused, "postgres refuses a write");
                for reply in replies {
                    let _ = reply.send(Err(refused.clone()));
                }
            }
            // One of them is to blame: each on its own.
            Err(refused) => {
                tracing::warn!(write = S::NAME, %refused, items = items.len(), "a batch is refused: one by one");
                for (item, reply) in items.into_iter().zip(replies) {
                    let reply = [reply];
                    let answer = persist(&statement, &[item], &reply).await;
                    let [reply] = reply;
                    let _ = reply.send(answer.and_then(|answers| {
                        answers
                            .into_iter()
                            .next()
                            .ok_or_else(|| Refused("no answer".into()))
                    }));
                }
            }
        }
    }
}

/// Says the statement until it is answered, or until nobody waits for the answer.
async fn persist<S: Statement + Sync>(
    statement: &S,
    items: &[S::Item],
    replies: &[Reply<S>],
) -> Result<Vec<S::Answer>, Refused> {
    let mut pause = PAUSE;
    let mut again = false;
    let began = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let words = match timeout(ANSWER, statement.write(items, again)).await {
            Ok(Ok(answers)) if answers.len() == items.len() => {
                if told.is_some() {
                    let after_s = began.elapsed().as_secs_f64();
                    tracing::info!(write = S::NAME, after_s, "postgres answers again");
                }
                return Ok(answers);
            }
            Ok(Ok(_)) => return Err(Refused("another number of answers".into())),
            Ok(Err(error)) if !passes(&error) => {
                return Err(Refused(Arc::from(error.to_string())));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if replies.iter().all(oneshot::Sender::is_closed) {
            return Err(Refused(Arc::from(words)));
        }
        metrics::retried(S::NAME);
        again = true;
        if told.is_none_or(|told| told.elapsed() > TOLD_EVERY) {
            tracing::warn!(write = S::NAME, items = items.len(), error = %words, "postgres does not answer: trying again");
            told = Some(Instant::now());
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MOST);
    }
}

/// Whether the same statement may be answered later: an operator's change counts, for an edit would be lost otherwise.
fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Transient | ErrorKind::Setup)
}
