//! Announcements, sorted by queue. Each queue has an outlet of its own: one that gives no answer holds nobody else up.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::Link;
use super::outlet::Outlet;
use crate::hint::queue_name;
use crate::{Error, Hint, Result, Settings};

/// Callers that may wait for an outlet; more wait for their turn to wait.
const BATCHES: usize = 64;

/// Publishes announcements.
#[derive(Debug)]
pub(super) struct Publisher {
    link: Link,
    patience: Duration,
    confirm_timeout: Duration,
    outlets: Mutex<HashMap<String, mpsc::Sender<Batch>>>,
    tasks: TaskTracker,
    closed: CancellationToken,
}

/// Messages of one caller for one queue.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    pub(super) reply: oneshot::Sender<Vec<Result<()>>>,
}

/// A hint, ready to be sent.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) body: Vec<u8>,
    pub(super) trace: Option<String>,
    /// Until when it may wait for a connection.
    pub(super) patience: Instant,
}

impl Publisher {
    pub(super) fn new(
        link: Link,
        settings: &Settings,
        closed: CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        Self {
            link,
            patience: settings.patience,
            confirm_timeout: settings.confirm_timeout,
            outlets: Mutex::default(),
            tasks: tasks.clone(),
            closed,
        }
    }

    pub(super) async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        let patience = Instant::now() + self.patience;
        let mut results: Vec<Result<()>> = Vec::with_capacity(hints.len());
        let mut queues: BTreeMap<String, (Vec<usize>, Vec<Message>)> = BTreeMap::new();
        for (at, hint) in hints.iter().enumerate() {
            // One whose body can't be written fails alone.
            results.push(match serde_json::to_vec(hint) {
                Err(error) => Err(error.into()),
                Ok(body) => {
                    let (places, messages) = queues
                        .entry(queue_name(&hint.model, hint.class))
                        .or_default();
                    places.push(at);
                    messages.push(Message {
                        body,
                        trace: hint.trace.clone(),
                        patience,
                    });
                    Ok(())
                }
            });
        }
        let publishing = queues.into_iter().map(async |(queue, (places, messages))| {
            let answers = self.publish(&queue, messages).await;
            (places, answers)
        });
        for (places, answers) in join_all(publishing).await {
            let mut answers = answers.into_iter();
            for at in places {
                results[at] = answers.next().unwrap_or(Err(Error::Closed));
            }
        }
        let failed = results.iter().filter(|result| result.is_err()).count();
        metrics::counter!("limekiln_broker_announce_failures_total").increment(failed as u64);
        metrics::counter!("limekiln_broker_announced_total")
            .increment((results.len() - failed) as u64);
        results
    }

    /// Results in the order of the messages; none when closed.
    async fn publish(&self, queue: &str, messages: Vec<Message>) -> Vec<Result<()>> {
        let (reply, answer) = oneshot::channel();
        let mut batch = Batch { messages, reply };
        while !self.closed.is_cancelled() {
            match self.outlet(queue).send(batch).await {
                Ok(()) => return answer.await.unwrap_or_default(),
                // It was idle for long and ended at this moment; the next one is new.
                Err(mpsc::error::SendError(back)) => batch = back,
            }
        }
        Vec::new()
    }

    fn outlet(&self, queue: &str) -> mpsc::Sender<Batch> {
        let mut outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outlet) = outlets.get(queue).filter(|outlet| !outlet.is_closed()) {
            return outlet.clone();
        }
        outlets.retain(|_, outlet| !outlet.is_closed());
        let (sender, receiver) = mpsc::channel(BATCHES);
        let outlet = Outlet::new(self.link.clone(), queue.to_owned(), self.confirm_timeout);
        self.tasks.spawn(outlet.run(receiver, self.closed.clone()));
        outlets.insert(queue.to_owned(), sender.clone());
        sender
    }
}
