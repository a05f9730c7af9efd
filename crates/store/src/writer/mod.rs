//! A queue in front of one statement over arrays: whatever waits when the statement ends is written by the next one. At a
//! thousand writes a second that is a hundred statements or so, each with its own wait for the disk; alone, a write waits
//! for nobody.

use std::future::Future;
use std::time::Duration;

use limekiln_jobs::retry::{Backoff, Policy};
use limekiln_jobs::{ErrorKind, Retryable};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::Error;

/// The most items of one statement.
const BATCH: usize = 256;
/// The most items that wait for one.
const QUEUE: usize = 1024;
/// How long a write with patience waits for a place in a full queue: an outage or too much load, and the client should
/// hear of it soon.
const PLACE: Duration = Duration::from_secs(1);
/// A statement that has no answer by then is tried again.
const ANSWER: Duration = Duration::from_secs(10);
/// The task keeps to the patience of its writes; this much more is for a statement that hangs.
const SLACK: Duration = Duration::from_secs(1);
const RETRY: Policy = Policy::new(Duration::from_millis(50), Duration::from_secs(1));
/// When items whose rows somebody else holds are tried again.
const HELD: Policy = Policy::new(Duration::from_millis(20), Duration::from_millis(500));
/// A try that has less time than this is none.
const LAST_TRY: Duration = Duration::from_millis(500);
/// Time between two log lines of one outage.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A statement that writes many items, and how it is counted.
pub trait Statement: Send + Sync + 'static {
    /// In logs.
    const NAME: &'static str;
    /// How long a write may take, outages included; one whose caller went away before its first try is dropped. `None`:
    /// a write is tried for as long as somebody waits for its answer, through errors of the database's setup as well, and
    /// at least once.
    const PATIENCE: Option<Duration> = None;
    /// What is written.
    type Item: Send + Sync + 'static;
    /// What Postgres answers to one item.
    type Answer: Send + 'static;

    /// Writes the items; answers are in their order. `again` says that an earlier try may have been done and its answer
    /// lost.
    fn write(
        &self,
        items: &[Self::Item],
        again: bool,
    ) -> impl Future<Output = crate::Result<Vec<Self::Answer>>> + Send;

    /// The same where items may have to wait for others than the database: one without an answer was not written, since
    /// somebody holds what it needs, and is tried again while others go on. `hurry`: nothing is waited for, as some wait
    /// already.
    fn write_free(
        &self,
        items: &[Self::Item],
        again: bool,
        _hurry: bool,
    ) -> impl Future<Output = crate::Result<Vec<Option<Self::Answer>>>> + Send {
        async move {
            let answers = self.write(items, again).await?;
            Ok(answers.into_iter().map(Some).collect())
        }
    }

    /// So many items of a batch have to wait for somebody who holds what they need.
    fn on_held(&self, _items: usize) {}

    /// A batch of so many items is about to be written.
    fn on_batch(&self, _items: usize) {}

    /// The statement is tried again.
    fn on_retry(&self) {}

    /// A batch was written, its retries included, in that time.
    fn on_written(&self, _took: Duration) {}

    /// An item's caller is about to be answered.
    fn on_answer(&self, _answer: &Result<Self::Answer, WriteError>) {}
}

/// Why a write has no answer.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Postgres refused it for good.
    #[error(transparent)]
    Refused(#[from] Error),
    /// Too many writes wait already; this one was not written.
    #[error("too many writes wait")]
    Overloaded,
    /// It is not known whether it was written: no answer came in time, or nobody waits for it any more.
    #[error("the database took too long to answer")]
    Slow,
    /// The writer has ended.
    #[error("the writer has ended")]
    Closed,
}

/// Who waits for an item's answer.
struct Caller<S: Statement> {
    until: Option<Instant>,
    reply: oneshot::Sender<Result<S::Answer, WriteError>>,
}

impl<S: Statement> Caller<S> {
    fn answer(self, statement: &S, answer: Result<S::Answer, WriteError>) {
        statement.on_answer(&answer);
        // A caller that went away needs no answer; what was written stays written.
        let _ = self.reply.send(answer);
    }
}

/// A bounded queue of items, and the task that writes them. Clones share both; the task ends with the last clone.
pub struct Writer<S: Statement>(mpsc::Sender<(S::Item, Caller<S>)>);

impl<S: Statement> Clone for Writer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Statement> std::fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Writer").field(&S::NAME).finish()
    }
}

impl<S: Statement> Writer<S> {
    /// Starts the task; needs a tokio runtime.
    pub fn new(statement: S) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(statement, queue));
        Self(sender)
    }

    /// Writes the item with whatever else is written now. Dropped before it returned, the item may have been written or
    /// not.
    pub async fn write(&self, item: S::Item) -> Result<S::Answer, WriteError> {
        let now = Instant::now();
        let until = S::PATIENCE.map(|patience| now + patience);
        let place = until_some(until.map(|_| now + PLACE), self.0.reserve()).await;
        let place = place.ok_or(WriteError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        place
            .map_err(|_| WriteError::Closed)?
            .send((item, Caller { until, reply }));
        let answer = until_some(until.map(|until| until + SLACK), answer).await;
        answer
            .ok_or(WriteError::Slow)?
            .map_err(|_| WriteError::Closed)?
    }
}

async fn until_some<T>(until: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => timeout_at(until, work).await.ok(),
        None => Some(work.await),
    }
}

/// Items that wait for somebody who holds what they need.
struct Held<S: Statement> {
    waiting: Vec<(S::Item, Caller<S>)>,
    backoff: Backoff,
    due: Instant,
}

impl<S: Statement> Held<S> {
    fn new() -> Self {
        Self {
            waiting: Vec::new(),
            backoff: HELD.start(),
            due: Instant::now(),
        }
    }

    /// When they are tried again.
    async fn due(&self) {
        match self.waiting.is_empty() {
            true => std::future::pending().await,
            false => sleep_until(self.due).await,
        }
    }

    /// Takes those that are tried now; who would hear of it too late is told.
    fn take(&mut self, statement: &S) -> Vec<(S::Item, Caller<S>)> {
        let over = Instant::now() + LAST_TRY;
        let (late, left) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, caller)| caller.until.is_some_and(|until| until <= over));
        self.waiting = left;
        for (_, caller) in late {
            caller.answer(statement, Err(WriteError::Overloaded));
        }
        let most = self.waiting.len().min(BATCH);
        self.waiting.drain(..most).collect()
    }

    fn push(&mut self, statement: &S, item: S::Item, caller: Caller<S>) {
        match self.waiting.len() < QUEUE {
            true => self.waiting.push((item, caller)),
            false => caller.answer(statement, Err(WriteError::Overloaded)),
        }
    }

    /// A try is over, in which so many were left alone.
    fn tried(&mut self, left: usize) {
        if left == 0 {
            self.backoff.reset();
        }
        self.due = Instant::now() + self.backoff.delay();
    }
}

async fn run<S: Statement>(statement: S, mut queue: mpsc::Receiver<(S::Item, Caller<S>)>) {
    let mut waiting = Vec::with_capacity(BATCH);
    let mut held = Held::new();
    let mut open = true;
    while open || !held.waiting.is_empty() {
        let mut again = false;
        tokio::select! {
            received = queue.recv_many(&mut waiting, BATCH), if open => open = received > 0,
            () = held.due() => {
                again = true;
                waiting = held.take(&statement);
            }
        }
        waiting.retain(|(_, caller)| S::PATIENCE.is_none() || !caller.reply.is_closed());
        if waiting.is_empty() {
            continue;
        }
        let hurry = again || !held.waiting.is_empty();
        let left = batch(&statement, &mut waiting, hurry).await;
        if !left.is_empty() {
            statement.on_held(left.len());
        }
        if again || (held.waiting.is_empty() && !left.is_empty()) {
            held.tried(left.len());
        }
        for (item, caller) in left {
            held.push(&statement, item, caller);
        }
    }
}

/// Writes a batch and answers its callers; returns those that wait for somebody who holds what they need.
async fn batch<S: Statement>(
    statement: &S,
    waiting: &mut Vec<(S::Item, Caller<S>)>,
    hurry: bool,
) -> Vec<(S::Item, Caller<S>)> {
    let (items, callers): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
    let mut left = Vec::new();
    statement.on_batch(items.len());
    let error = match write(statement, &items, &callers, hurry).await {
        Ok(answers) => {
            for ((item, caller), answer) in items.into_iter().zip(callers).zip(answers) {
                match answer {
                    Some(answer) => caller.answer(statement, Ok(answer)),
                    None => left.push((item, caller)),
                }
            }
            return left;
        }
        Err(error) => error,
    };
    let one_by_one = items.len() > 1 && matches!(error, WriteError::Refused(_));
    if one_by_one || !matches!(error, WriteError::Refused(_)) {
        tracing::warn!(write = S::NAME, %error, items = items.len(), one_by_one, "a batch was not written");
    } else {
        tracing::error!(write = S::NAME, %error, "postgres refuses a write");
    }
    let mut error = Some(error).filter(|_| !one_by_one);
    for (item, caller) in items.into_iter().zip(callers) {
        let answer = if one_by_one {
            // One of them is at fault; the others are written all the same.
            let answers = write(
                statement,
                std::slice::from_ref(&item),
                std::slice::from_ref(&caller),
                hurry,
            )
            .await;
            match answers.map(|mut answers| answers.pop()) {
                Ok(Some(Some(answer))) => Ok(answer),
                Ok(Some(None)) => {
                    left.push((item, caller));
                    continue;
                }
                Ok(None) => Err(WriteError::Slow),
                Err(error) => Err(error),
            }
        } else {
            // Only a batch of one is refused here; there is no other caller to tell.
            Err(error.take().unwrap_or(WriteError::Slow))
        };
        caller.answer(statement, answer);
    }
    left
}

/// Tries the statement until it is answered, its time is up, or nobody waits for the answer.
async fn write<S: Statement>(
    statement: &S,
    items: &[S::Item],
    callers: &[Caller<S>],
    hurry: bool,
) -> Result<Vec<Option<S::Answer>>, WriteError> {
    let until = callers.iter().filter_map(|caller| caller.until).min();
    let began = Instant::now();
    let mut backoff = RETRY.start();
    let mut again = false;
    let mut logged: Option<Instant> = None;
    if until.is_some_and(|until| Instant::now() >= until) {
        return Err(WriteError::Slow);
    }
    loop {
        let answer = timeout(ANSWER, statement.write_free(items, again, hurry));
        let failure = match until_some(until, answer).await {
            Some(Ok(Ok(answers))) if answers.len() == items.len() => {
                if logged.is_some() {
                    let after_s = began.elapsed().as_secs_f64();
                    tracing::info!(write = S::NAME, after_s, "postgres answers again");
                }
                statement.on_written(began.elapsed());
                return Ok(answers);
            }
            Some(Ok(Ok(answers))) => {
                return Err(WriteError::Refused(Error::Row {
                    what: S::NAME,
                    detail: format!("{} answers to {} items", answers.len(), items.len()),
                }));
            }
            Some(Ok(Err(error))) if may_pass::<S>(&error) => error.to_string(),
            Some(Ok(Err(error))) => return Err(error.into()),
            Some(Err(_)) | None => "no answer".to_owned(),
        };
        let over = until.is_some_and(|until| Instant::now() >= until);
        if over || (until.is_none() && callers.iter().all(|caller| caller.reply.is_closed())) {
            return Err(WriteError::Slow);
        }
        if logged.is_none_or(|logged| logged.elapsed() > LOG_EVERY) {
            tracing::warn!(write = S::NAME, items = items.len(), error = %failure, "postgres does not answer; trying again");
            logged = Some(Instant::now());
        }
        statement.on_retry();
        again = true;
        until_some(until, sleep(backoff.delay())).await;
    }
}

/// Whether the same statement may be answered later. Where there is no end of patience an operator's change counts, too; where
/// there is one, a full disk is not waited for: the caller is told of it.
fn may_pass<S: Statement>(error: &Error) -> bool {
    if S::PATIENCE.is_some() && error.is_disk_full() {
        return false;
    }
    error.is_transient() || (S::PATIENCE.is_none() && error.kind() == ErrorKind::Setup)
}

#[cfg(test)]
mod tests;
