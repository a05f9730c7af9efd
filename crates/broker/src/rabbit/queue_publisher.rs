//! Publishes one queue's announcements: mandatory, confirmed, many at once.
//!
//! One task owns the channel. It takes all that waits, publishes it in one round, and waits for all confirms of the round
//! before the next: lapin numbers a publish and queues its frames in two steps, so two tasks on one channel could swap
//! numbers.

use std::time::Duration;

use lapin::Channel;
use limekiln_jobs::Retryable;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::publish_channel::PublishChannel;
use super::round::{Message, Outcome, publish_round};
use super::topology;
use crate::queue::Queue;
use crate::{Error, Result};

/// How many messages are published in one round.
const ROUND: usize = 1024;
/// How many rounds one message gets: the first, one after a lost connection, and one after declaring the queue again.
const ROUNDS: usize = 3;
/// The pause between two attempts to open a channel.
const REOPEN_EVERY: Duration = Duration::from_millis(50);
/// How long the circuit breaker stays open: how long nothing is published to a queue that confirmed nothing while the
/// connection was fine.
const BREAKER_OPEN: Duration = Duration::from_secs(15);
/// The publisher ends after so long without a message. The next message starts another.
const IDLE: Duration = Duration::from_secs(300);

/// The messages of one caller for one queue.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    pub(super) reply: oneshot::Sender<Vec<Result<()>>>,
}

/// Publishes to one queue.
pub(super) struct QueuePublisher {
    queue: Queue,
    confirm_timeout: Duration,
    channel: PublishChannel,
    /// How many messages were published so far, which numbers them.
    published: u64,
    /// Until when the circuit breaker is open.
    breaker_open_until: Option<Instant>,
}

impl QueuePublisher {
    pub(super) fn new(link: Link, queue: Queue, confirm_timeout: Duration) -> Self {
        Self {
            queue,
            confirm_timeout,
            channel: PublishChannel::new(link, true),
            published: 0,
            breaker_open_until: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Batch>,
        closed: CancellationToken,
    ) {
        loop {
            let accepting = !batches.is_closed();
            let first = tokio::select! {
                first = timeout(IDLE, batches.recv()) => first.ok(),
                () = closed.cancelled(), if accepting => None,
            };
            match first {
                Some(Some(first)) => self.publish_batches(first, &mut batches).await,
                Some(None) => return,
                // What was accepted is still published, but nothing more is accepted.
                None => batches.close(),
            }
        }
    }

    /// Publishes this batch together with the batches that wait behind it.
    async fn publish_batches(&mut self, first: Batch, batches: &mut mpsc::Receiver<Batch>) {
        let start = Instant::now();
        let mut replies = Vec::new();
        let mut messages = Vec::new();
        let mut next = Some(first);
        while let Some(batch) = next {
            replies.push((batch.messages.len(), batch.reply));
            messages.extend(batch.messages);
            next = match messages.len() < ROUND {
                true => batches.try_recv().ok(),
                false => None,
            };
        }
        let mut results = Vec::with_capacity(messages.len());
        for some in messages.chunks(ROUND) {
            results.append(&mut self.publish(some).await);
        }
        metrics::histogram!("limekiln_broker_announce_seconds").record(start.elapsed());
        let mut results = results.into_iter();
        for (count, reply) in replies {
            // An error means that the caller no longer waits. Its edits are announced again.
            let _ = reply.send(results.by_ref().take(count).collect());
        }
    }

    /// Publishes until each message is confirmed or has used up its rounds. Results are in the order of the messages.
    async fn publish(&mut self, messages: &[Message]) -> Vec<Result<()>> {
        let mut results: Vec<Option<Result<()>>> = messages.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..messages.len()).collect();
        let mut rounds = 0;
        let failed = loop {
            if open.is_empty() {
                break None;
            }
            if self
                .breaker_open_until
                .is_some_and(|until| Instant::now() < until)
            {
                break Some(Error::Unconfirmed(self.confirm_timeout));
            }
            let connect_by = open.iter().map(|&at| messages[at].connect_by).max();
            let channel = match self.channel(connect_by.unwrap_or_else(Instant::now)).await {
                Ok(channel) => channel,
                Err(error) => break Some(error),
            };
            let round: Vec<_> = open.iter().map(|&at| &messages[at]).collect();
            let first_id = self.published;
            self.published += round.len() as u64;
            let limit = self.confirm_timeout;
            let (outcomes, in_time) =
                publish_round(&channel, &self.queue.name, &round, first_id, limit).await;
            if !in_time {
                self.open_breaker().await;
            }
            rounds += 1;
            let (mut again, mut absent) = (Vec::new(), false);
            for (at, outcome) in open.into_iter().zip(outcomes) {
                results[at] = match outcome {
                    Outcome::Confirmed => Some(Ok(())),
                    Outcome::Refused => Some(Err(Error::Refused(self.queue.name.clone()))),
                    Outcome::Unconfirmed => Some(Err(Error::Unconfirmed(self.confirm_timeout))),
                    Outcome::Returned if rounds == ROUNDS => {
                        Some(Err(Error::Unroutable(self.queue.name.clone())))
                    }
                    Outcome::Lost(error) if rounds == ROUNDS => Some(Err(Error::Amqp(error))),
                    Outcome::Returned | Outcome::Lost(_) => {
                        absent |= matches!(outcome, Outcome::Returned);
                        again.push(at);
                        None
                    }
                };
            }
            open = again;
            if absent && let Err(error) = self.declare().await {
                break Some(error);
            }
        };
        let rest = |result: Option<_>| match result {
            Some(result) => result,
            None => Err(failed.clone().unwrap_or(Error::Closed)),
        };
        results.into_iter().map(rest).collect()
    }

    /// After a round that was not confirmed in time: opens the circuit breaker if the queue is at fault, and not the
    /// connection.
    async fn open_breaker(&mut self) {
        tracing::warn!(queue = self.queue.name, timeout = ?self.confirm_timeout, "publishes were not confirmed in time");
        // The channel is not used again, because late confirms would be taken for those of the next round.
        if let Some(session) = self.channel.reset()
            && session.channel().await.is_ok()
        {
            self.breaker_open_until = Some(Instant::now() + BREAKER_OPEN);
        }
    }

    /// The open channel, or a new one on a connection that is there by `connect_by`.
    async fn channel(&mut self, connect_by: Instant) -> Result<Channel> {
        loop {
            let left = connect_by.saturating_duration_since(Instant::now());
            match self.channel.get(left).await {
                Err(Error::Disconnected(_) | Error::Amqp(_)) if left > REOPEN_EVERY => {
                    // The connection ended, and the link has not noticed yet.
                    self.channel.reset();
                    tokio::time::sleep(REOPEN_EVERY).await;
                }
                opened => return opened,
            }
        }
    }

    /// Declares the queue, which did not take a message. A transient error is left to the next round.
    async fn declare(&self) -> Result<()> {
        let Some(session) = self.channel.session() else {
            return Ok(());
        };
        match topology::declare_queue(session, &self.queue).await {
            Err(error) if !error.is_transient() => Err(error),
            Err(error) => {
                tracing::warn!(queue = self.queue.name, %error, "queue not declared");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
