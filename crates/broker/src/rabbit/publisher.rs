//! Publishes announcements, sorted by queue. Each queue has a publisher of its own, so that one that gives no answer
//! does not delay the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::Link;
use super::queue_publisher::{Batch, QueuePublisher};
use super::round::Message;
use crate::queue::Queue;
use crate::{Error, Hint, Result, Settings};

/// How many callers may queue up at one queue's publisher. Others wait until there is room.
const BATCHES: usize = 64;

/// Publishes announcements to the queues of edits.
#[derive(Debug)]
pub(super) struct Publisher {
    link: Link,
    reconnect_timeout: Duration,
    confirm_timeout: Duration,
    queues: Mutex<HashMap<Queue, mpsc::Sender<Batch>>>,
    tasks: TaskTracker,
    closed: CancellationToken,
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
            reconnect_timeout: settings.reconnect_timeout,
            confirm_timeout: settings.confirm_timeout,
            queues: Mutex::default(),
            tasks: tasks.clone(),
            closed,
        }
    }

    pub(super) async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        let connect_by = Instant::now() + self.reconnect_timeout;
        let mut results: Vec<Result<()>> = Vec::with_capacity(hints.len());
        let mut queues: BTreeMap<Queue, (Vec<usize>, Vec<Message>)> = BTreeMap::new();
        for (at, hint) in hints.iter().enumerate() {
            // A hint that can't be encoded fails alone.
            results.push(match serde_json::to_vec(hint) {
                Err(error) => Err(error.into()),
                Ok(body) => {
                    let (places, messages) = queues.entry(hint.queue()).or_default();
                    places.push(at);
                    messages.push(Message {
                        body,
                        trace: hint.trace.clone(),
                        connect_by,
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
        results
    }

    /// Publishes to one queue. Results are in the order of the messages; there are none when the broker was closed.
    async fn publish(&self, queue: &Queue, messages: Vec<Message>) -> Vec<Result<()>> {
        let (reply, answer) = oneshot::channel();
        let mut batch = Batch { messages, reply };
        while !self.closed.is_cancelled() {
            match self.queue(queue).send(batch).await {
                Ok(()) => return answer.await.unwrap_or_default(),
                // The publisher had been idle for long and was just ending; the next one is new.
                Err(mpsc::error::SendError(back)) => batch = back,
            }
        }
        Vec::new()
    }

    /// The way to one queue's publisher, which is started if it doesn't run.
    fn queue(&self, queue: &Queue) -> mpsc::Sender<Batch> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = queues.get(queue).filter(|sender| !sender.is_closed()) {
            return sender.clone();
        }
        queues.retain(|_, sender| !sender.is_closed());
        let (sender, batches) = mpsc::channel(BATCHES);
        let publisher = QueuePublisher::new(self.link.clone(), queue.clone(), self.confirm_timeout);
        self.tasks
            .spawn(publisher.run(batches, self.closed.clone()));
        queues.insert(queue.clone(), sender.clone());
        sender
    }
}
