//! Announcements: mandatory, confirmed, many at once.
//!
//! One task owns the channel. It takes all that waits, publishes it in one go and waits for all its confirms before the
//! next: lapin numbers a publish and queues its frames in two steps, so two tasks on one channel could swap numbers; and it
//! hands a returned message to whichever confirm comes next, so only a whole round tells which message came back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Link, Session};
use super::topology::{self, EDITS};
use crate::hint::queue_name;
use crate::{Error, Hint, Result, Settings};

/// Callers that may wait for the publisher; more wait for their turn to wait.
const BATCHES: usize = 64;
/// Messages published in one round.
const ROUND: usize = 1024;
/// Rounds for one message: the first, one after a lost connection or a queue declared again, and one for both.
const ROUNDS: usize = 3;
/// How long nothing is published to a queue that confirmed nothing.
const SPARED: Duration = Duration::from_secs(15);

/// The sending end of the task that publishes.
#[derive(Debug)]
pub(super) struct Publisher {
    batches: mpsc::Sender<Batch>,
    patience: Duration,
}

#[derive(Debug)]
struct Batch {
    messages: Vec<Message>,
    reply: oneshot::Sender<Vec<Result<()>>>,
}

#[derive(Debug)]
struct Message {
    queue: String,
    body: Vec<u8>,
    trace: Option<String>,
    /// Until when it may wait for a connection.
    patience: tokio::time::Instant,
}

impl Publisher {
    pub(super) fn spawn(
        link: Link,
        settings: &Settings,
        closed: CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (batches, receiver) = mpsc::channel(BATCHES);
        let task = Task {
            link,
            confirm_timeout: settings.confirm_timeout,
            channel: None,
            published: 0,
            mute: HashMap::new(),
        };
        tasks.spawn(task.run(receiver, closed));
        Self {
            batches,
            patience: settings.patience,
        }
    }

    pub(super) async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        if hints.is_empty() {
            return Vec::new();
        }
        let patience = tokio::time::Instant::now() + self.patience;
        let mut results = Vec::with_capacity(hints.len());
        // Bodies that can't be written fail alone.
        let mut messages = Vec::with_capacity(hints.len());
        for hint in hints {
            results.push(match serde_json::to_vec(hint) {
                Ok(body) => {
                    messages.push(Message {
                        queue: queue_name(&hint.model, hint.class),
                        body,
                        trace: hint.trace.clone(),
                        patience,
                    });
                    Ok(())
                }
                Err(error) => Err(error.into()),
            });
        }
        let (reply, answer) = oneshot::channel();
        let batch = Batch { messages, reply };
        let answers = match self.batches.send(batch).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let mut answers = answers.into_iter();
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            *result = answers.next().unwrap_or(Err(Error::Closed));
        }
        let failed = results.iter().filter(|result| result.is_err()).count();
        metrics::counter!("limekiln_broker_announce_failures_total").increment(failed as u64);
        metrics::counter!("limekiln_broker_announced_total")
            .increment((results.len() - failed) as u64);
        results
    }
}

struct Task {
    link: Link,
    confirm_timeout: Duration,
    channel: Option<(Arc<Session>, Channel)>,
    /// Numbers messages, to tell which one came back.
    published: u64,
    /// Queues that confirm nothing while the broker answers, and until when they are spared: one of them would hold every
    /// round up to its timeout.
    mute: HashMap<String, Instant>,
}

/// What became of one publish.
enum Outcome {
    Confirmed,
    Returned,
    Refused,
    Unconfirmed,
    Lost(lapin::Error),
}

impl Task {
    async fn run(mut self, mut batches: mpsc::Receiver<Batch>, closed: CancellationToken) {
        loop {
            let first = tokio::select! {
                first = batches.recv() => first,
                // What was accepted is still published; nothing more is accepted.
                () = closed.cancelled(), if !batches.is_closed() => {
                    batches.close();
                    continue;
                }
            };
            let Some(first) = first else { return };
            let mut waiting = vec![first];
            let mut size = waiting[0].messages.len();
            while size < ROUND
                && let Ok(batch) = batches.try_recv()
            {
                size += batch.messages.len();
                waiting.push(batch);
            }
            self.publish(waiting).await;
        }
    }

    async fn publish(&mut self, mut waiting: Vec<Batch>) {
        let start = Instant::now();
        let sizes: Vec<_> = waiting.iter().map(|batch| batch.messages.len()).collect();
        let messages: Vec<_> = waiting
            .iter_mut()
            .flat_map(|batch| batch.messages.drain(..))
            .collect();
        let mut results = Vec::with_capacity(messages.len());
        for round in messages.chunks(ROUND) {
            results.append(&mut self.publish_all(round).await);
        }
        metrics::histogram!("limekiln_broker_announce_seconds").record(start.elapsed());
        let mut results = results.into_iter();
        for (batch, size) in waiting.into_iter().zip(sizes) {
            // A caller that no longer waits needs no answer: what it wanted announced will be announced again.
            let _ = batch.reply.send(results.by_ref().take(size).collect());
        }
    }

    /// Publishes until each message is confirmed or has used up its rounds. Results are in the order of the messages.
    async fn publish_all(&mut self, messages: &[Message]) -> Vec<Result<()>> {
        let mut results: Vec<Option<Result<()>>> = messages.iter().map(|_| None).collect();
        let now = Instant::now();
        self.mute.retain(|_, until| *until > now);
        let (mut open, spared): (Vec<_>, Vec<_>) =
            (0..messages.len()).partition(|&at| !self.mute.contains_key(&messages[at].queue));
        for at in spared {
            results[at] = Some(Err(Error::Unconfirmed(self.confirm_timeout)));
        }
        for round in 1..=ROUNDS {
            if open.is_empty() {
                break;
            }
            let patience = open.iter().map(|&at| messages[at].patience).max();
            let channel = match self.channel(patience).await {
                Ok(channel) => channel,
                Err(error) => {
                    for &at in &open {
                        results[at] = Some(Err(error.again()));
                    }
                    break;
                }
            };
            let outcomes = self.round(&channel, messages, &open).await;
            let last = round == ROUNDS;
            let mut absent = HashSet::new();
            let mut again = Vec::new();
            for (at, outcome) in open.into_iter().zip(outcomes) {
                let queue = &messages[at].queue;
                results[at] = match outcome {
                    Outcome::Confirmed => Some(Ok(())),
                    Outcome::Refused => Some(Err(Error::Refused(queue.clone()))),
                    Outcome::Unconfirmed => Some(Err(Error::Unconfirmed(self.confirm_timeout))),
                    Outcome::Returned if last => Some(Err(Error::Unroutable(queue.clone()))),
                    Outcome::Lost(error) if last => Some(Err(Error::Amqp(error))),
                    Outcome::Returned => {
                        absent.insert(queue.as_str());
                        again.push(at);
                        None
                    }
                    Outcome::Lost(_) => {
                        again.push(at);
                        None
                    }
                };
            }
            let barred = self.declare(absent).await;
            again.retain(|&at| match barred.get(messages[at].queue.as_str()) {
                Some(error) => {
                    results[at] = Some(Err(error.again()));
                    false
                }
                None => true,
            });
            open = again;
        }
        results
            .into_iter()
            .map(|result| result.unwrap_or(Err(Error::Closed)))
            .collect()
    }

    /// Publishes these messages and waits for their confirms. Outcomes are in the order of `open`.
    async fn round(
        &mut self,
        channel: &Channel,
        messages: &[Message],
        open: &[usize],
    ) -> Vec<Outcome> {
        let first = self.published;
        self.published += open.len() as u64;
        let mut publishing: FuturesUnordered<_> = open
            .iter()
            .enumerate()
            .map(|(nth, &at)| {
                let message = &messages[at];
                async move {
                    let confirm = channel.basic_publish(
                        EDITS.into(),
                        message.queue.as_str().into(),
                        BasicPublishOptions {
                            mandatory: true,
                            immediate: false,
                        },
                        &message.body,
                        properties(message, first + nth as u64),
                    );
                    let confirmation = async { confirm.await?.await };
                    (nth, confirmation.await)
                }
            })
            .collect();
        let mut outcomes: Vec<_> = open.iter().map(|_| Outcome::Unconfirmed).collect();
        let mut returned = Vec::new();
        let deadline = tokio::time::Instant::now() + self.confirm_timeout;
        let mut in_time = true;
        while in_time {
            let (nth, confirmation) = match timeout_at(deadline, publishing.next()).await {
                Ok(Some(confirmed)) => confirmed,
                Ok(None) => break,
                Err(_) => {
                    in_time = false;
                    continue;
                }
            };
            outcomes[nth] = match confirmation {
                Ok(confirmation) => {
                    let outcome = match confirmation {
                        Confirmation::Nack(_) => Outcome::Refused,
                        Confirmation::Ack(_) | Confirmation::NotRequested => Outcome::Confirmed,
                    };
                    returned.extend(confirmation.take_message());
                    outcome
                }
                Err(error) => Outcome::Lost(error),
            };
        }
        for message in returned {
            let id = message.delivery.properties.message_id().as_ref();
            let nth = id
                .and_then(|id| id.as_str().parse::<u64>().ok())
                .and_then(|id| id.checked_sub(first))
                .and_then(|nth| usize::try_from(nth).ok());
            if let Some(outcome) = nth.and_then(|nth| outcomes.get_mut(nth)) {
                *outcome = Outcome::Returned;
            }
        }
        if !in_time {
            self.spare(messages, open, &outcomes).await;
        }
        outcomes
    }

    /// After a round that was not confirmed in time: finds out whether the queues are at fault or the connection.
    async fn spare(&mut self, messages: &[Message], open: &[usize], outcomes: &[Outcome]) {
        // Late confirms must not be taken for those of the next round.
        let Some((session, _)) = self.channel.take() else {
            return;
        };
        let unconfirmed: HashSet<_> = open
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| matches!(outcome, Outcome::Unconfirmed))
            .map(|(&at, _)| messages[at].queue.as_str())
            .collect();
        tracing::warn!(queues = ?unconfirmed, timeout = ?self.confirm_timeout, "publishes were not confirmed in time");
        if session.channel().await.is_ok() {
            let until = Instant::now() + SPARED;
            self.mute.extend(
                unconfirmed
                    .into_iter()
                    .map(|queue| (queue.to_owned(), until)),
            );
        }
    }

    /// The channel there is, or a new one on the connection that comes until `patience`.
    async fn channel(&mut self, patience: Option<tokio::time::Instant>) -> Result<Channel> {
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
        let left = patience
            .unwrap_or_else(tokio::time::Instant::now)
            .saturating_duration_since(tokio::time::Instant::now());
        let session = self.link.session(left).await?;
        let channel = session.channel().await?;
        let selecting = channel.confirm_select(ConfirmSelectOptions::default());
        session.rpc("confirms", selecting).await?;
        self.channel = Some((session, channel.clone()));
        Ok(channel)
    }

    /// Declares queues that took no message; what stands against it, by queue.
    async fn declare<'a>(&self, absent: HashSet<&'a str>) -> HashMap<&'a str, Error> {
        let mut barred = HashMap::new();
        let Some((session, _)) = &self.channel else {
            return barred;
        };
        for queue in absent {
            if let Err(error) = topology::declare_queue(session, queue).await
                && !error.is_transient()
            {
                barred.insert(queue, error);
            }
        }
        barred
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
