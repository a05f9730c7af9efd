//! One queue's announcements: mandatory, confirmed, many at once.
//!
//! One task owns the channel. It takes all that waits, publishes it in one go and waits for all its confirms before the
//! next: lapin numbers a publish and queues its frames in two steps, so two tasks on one channel could swap numbers; and it
//! hands a returned message to whichever confirm comes next, so only a whole round tells which message came back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::link::{Link, Session};
use super::publish::{Batch, Message};
use super::topology::{self, EDITS};
use crate::{Error, Result};

/// Messages published in one round.
const ROUND: usize = 1024;
/// Rounds for one message: the first, one after a lost connection, and one after a queue declared again.
const ROUNDS: usize = 3;
/// Between two looks for a connection.
const AGAIN: Duration = Duration::from_millis(50);
/// How long nothing is published to a queue that confirmed nothing while the broker answered.
const SPARED: Duration = Duration::from_secs(15);
/// After so long without a message the outlet ends; the next message opens another.
const IDLE: Duration = Duration::from_secs(300);

/// Publishes to one queue.
pub(super) struct Outlet {
    link: Link,
    queue: String,
    confirm_timeout: Duration,
    channel: Option<(Arc<Session>, Channel)>,
    /// Numbers messages, to tell which one came back.
    published: u64,
    spared_until: Option<Instant>,
}

/// What became of one publish.
enum Outcome {
    Confirmed,
    Returned,
    Refused,
    Unconfirmed,
    Lost(lapin::Error),
}

impl Outlet {
    pub(super) fn new(link: Link, queue: String, confirm_timeout: Duration) -> Self {
        Self {
            link,
            queue,
            confirm_timeout,
            channel: None,
            published: 0,
            spared_until: None,
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
                // What was accepted is still published; nothing more is accepted.
                None => batches.close(),
            }
        }
    }

    /// Publishes this batch and what else waits by now.
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
            // A caller that no longer waits needs no answer: what it wanted announced will be announced again.
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
                .spared_until
                .is_some_and(|until| Instant::now() < until)
            {
                break Some(Error::Unconfirmed(self.confirm_timeout));
            }
            let patience = open.iter().map(|&at| messages[at].patience).max();
            let channel = match self.channel(patience.unwrap_or_else(Instant::now)).await {
                Ok(channel) => channel,
                Err(error) => break Some(error),
            };
            let outcomes = self.round(&channel, messages, &open).await;
            rounds += 1;
            let (mut again, mut absent) = (Vec::new(), false);
            for (at, outcome) in open.into_iter().zip(outcomes) {
                results[at] = match outcome {
                    Outcome::Confirmed => Some(Ok(())),
                    Outcome::Refused => Some(Err(Error::Refused(self.queue.clone()))),
                    Outcome::Unconfirmed => Some(Err(Error::Unconfirmed(self.confirm_timeout))),
                    Outcome::Returned if rounds == ROUNDS => {
                        Some(Err(Error::Unroutable(self.queue.clone())))
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
            None => Err(failed.as_ref().map_or(Error::Closed, Error::again)),
        };
        results.into_iter().map(rest).collect()
    }

    /// Publishes the open ones of these messages and waits for their confirms. Outcomes are in the order of `open`.
    async fn round(
        &mut self,
        channel: &Channel,
        messages: &[Message],
        open: &[usize],
    ) -> Vec<Outcome> {
        let first = self.published;
        self.published += open.len() as u64;
        let queue = self.queue.as_str();
        let publish = async |nth: usize, message: &Message| {
            let options = BasicPublishOptions {
                mandatory: true,
                immediate: false,
            };
            let properties = properties(message, first + nth as u64);
            let publishing = channel.basic_publish(
                EDITS.into(),
                queue.into(),
                options,
                &message.body,
                properties,
            );
            publishing.await?.await
        };
        let mut publishing: FuturesUnordered<_> = open
            .iter()
            .enumerate()
            .map(async |(nth, &at)| (nth, publish(nth, &messages[at]).await))
            .collect();
        let mut outcomes: Vec<_> = open.iter().map(|_| Outcome::Unconfirmed).collect();
        let mut returned = Vec::new();
        let deadline = Instant::now() + self.confirm_timeout;
        let in_time = loop {
            let (nth, confirmation) = match timeout_at(deadline, publishing.next()).await {
                Ok(Some(confirmed)) => confirmed,
                Ok(None) => break true,
                Err(_) => break false,
            };
            outcomes[nth] = match confirmation {
                Err(error) => Outcome::Lost(error),
                Ok(confirmation) => {
                    let outcome = match &confirmation {
                        Confirmation::Nack(_) => Outcome::Refused,
                        Confirmation::Ack(_) | Confirmation::NotRequested => Outcome::Confirmed,
                    };
                    returned.extend(confirmation.take_message());
                    outcome
                }
            };
        };
        drop(publishing);
        for message in returned {
            let id = message.delivery.properties.message_id().as_ref();
            let nth = id
                .and_then(|id| id.as_str().parse::<u64>().ok())
                .and_then(|id| usize::try_from(id.checked_sub(first)?).ok());
            if let Some(outcome) = nth.and_then(|nth| outcomes.get_mut(nth)) {
                *outcome = Outcome::Returned;
            }
        }
        if !in_time {
            self.spare().await;
        }
        outcomes
    }

    /// After a round that was not confirmed in time: finds out whether the queue is at fault or the connection.
    async fn spare(&mut self) {
        tracing::warn!(queue = self.queue, timeout = ?self.confirm_timeout, "publishes were not confirmed in time");
        // Late confirms must not be taken for those of the next round.
        if let Some((session, _)) = self.channel.take()
            && session.channel().await.is_ok()
        {
            self.spared_until = Some(Instant::now() + SPARED);
        }
    }

    /// The channel there is, or a new one on the connection that comes until `patience`.
    async fn channel(&mut self, patience: Instant) -> Result<Channel> {
        loop {
            let left = patience.saturating_duration_since(Instant::now());
            match self.open(left).await {
                Err(Error::Disconnected(_) | Error::Amqp(_)) if left > AGAIN => {
                    // The connection ended, and that was not noticed yet.
                    self.channel = None;
                    tokio::time::sleep(AGAIN).await;
                }
                opened => return opened,
            }
        }
    }

    async fn open(&mut self, patience: Duration) -> Result<Channel> {
        if let Some((session, channel)) = &self.channel {
            if session.is_blocked() {
                return Err(Error::Blocked);
            }
            if channel.status().connected() && !session.ended.is_cancelled() {
                return Ok(channel.clone());
            }
            // The exchange may be gone; so may the connection, and then its next session declares anew.
            if !session.ended.is_cancelled() {
                topology::declare(session).await?;
            }
        }
        self.channel = None;
        let session = self.link.session(patience).await?;
        let channel = session.channel().await?;
        let selecting = channel.confirm_select(ConfirmSelectOptions::default());
        session.rpc("confirms", selecting).await?;
        self.channel = Some((session, channel.clone()));
        Ok(channel)
    }

    /// Declares the queue, which took no message. What may pass is left to the next round to meet.
    async fn declare(&self) -> Result<()> {
        let Some((session, _)) = &self.channel else {
            return Ok(());
        };
        match topology::declare_queue(session, &self.queue).await {
            Err(error) if !error.is_transient() => Err(error),
            Err(error) => {
                tracing::warn!(queue = self.queue, %error, "queue not declared");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

fn properties(message: &Message, id: u64) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(id.to_string().into());
    match &message.trace {
        None => properties,
        Some(trace) => {
            let mut headers = FieldTable::default();
            headers.insert(
                "traceparent".into(),
                AMQPValue::LongString(trace.as_str().into()),
            );
            properties.with_headers(headers)
        }
    }
}
