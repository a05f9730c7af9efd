//! Reads one queue, one class's edits of a model: one task, one channel, and an AMQP consumer while messages come by themselves.
//!
//! RabbitMQ 3.10 breaks two promises on which a consumer would like to rely. It does not always tell a consumer that its
//! queue was deleted: when the queue is declared again at once, the old consumer just receives nothing more. And a quorum
//! queue does not always answer: one that was declared within the last seconds before a `kill -9` comes back without a
//! leader, for ever. So this task looks at an idle queue from time to time, and deletes and declares again a queue that
//! has not answered for long. That loses nothing: the messages are hints, and are announced again.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{
    BasicCancelOptions, BasicGetOptions, BasicQosOptions, BasicRejectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer};
use limekiln_jobs::{Class, Retryable};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::buffer::Buffer;
use super::intake::{State, Take};
use super::link::{Link, RETRY};
use super::session::Session;
use super::settle::{SettleCommand, Unsettled, settle, settlement_lost};
use super::topology;
use crate::queue::Queue;
use crate::{Delivery, Error, Hint, Result};

/// How often the task looks at its queue while nothing is delivered.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After so many looks that found messages and credit for them, and no delivery meanwhile, the consumer counts as broken.
const LOOKS: u32 = 2;
/// The least time for deleting a queue. RabbitMQ needs long to delete one that has no leader.
const DELETE_TIMEOUT: Duration = Duration::from_secs(30);

/// The task that consumes from one queue.
pub(super) struct QueueConsumer {
    pub(super) link: Link,
    pub(super) queue: Queue,
    pub(super) class: Class,
    /// The queue's number in the buffer.
    pub(super) number: usize,
    pub(super) recreate_after: Duration,
    pub(super) buffer: Arc<Buffer>,
    /// Given to each delivery, for its settlement. It is weak so that the task ends with the last delivery.
    pub(super) commands: mpsc::WeakUnboundedSender<SettleCommand>,
    pub(super) takes: mpsc::Receiver<Take>,
    pub(super) open: watch::Receiver<bool>,
    pub(super) state: watch::Sender<State>,
    /// Cancelled when the consumer was dropped. Deliveries that it handed out may still be unsettled.
    pub(super) dropped: CancellationToken,
    pub(super) closed: CancellationToken,
    /// Since when the queue has not answered although RabbitMQ did.
    pub(super) unresponsive_since: Option<Instant>,
}

impl QueueConsumer {
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<SettleCommand>) {
        let closed = self.closed.clone();
        let mut backoff = RETRY.start();
        loop {
            let session = tokio::select! {
                session = self.link.session(Duration::MAX) => session,
                () = self.dropped.cancelled() => break,
                () = closed.cancelled() => break,
            };
            let served = match session {
                Err(Error::Closed) => break,
                Err(error) => Err(error),
                Ok(session) => {
                    let served = self.serve(&session, &mut commands).await;
                    if self.state.send_replace(State::Away) != State::Away
                        && self.unresponsive_since.is_none()
                    {
                        backoff.reset();
                    }
                    if let Err(error) = &served {
                        self.recreate(&session, error).await;
                    }
                    served
                }
            };
            self.buffer.clear(self.number);
            match served {
                Ok(()) => break,
                Err(error) if error.is_transient() => {
                    tracing::warn!(queue = self.queue.name, %error, "taking edits interrupted");
                }
                Err(error) => tracing::error!(queue = self.queue.name, %error, "can't take edits"),
            }
            // The channel is gone: settlements for it are lost, and nobody should wait for them to be written.
            while let Ok(command) = commands.try_recv() {
                command.discard();
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.delay()) => {}
                () = self.dropped.cancelled() => break,
                () = closed.cancelled() => break,
            }
        }
        self.buffer.clear(self.number);
    }

    /// Consumes and settles on one channel. `Ok` means that the task is done for good.
    async fn serve(
        &mut self,
        session: &Session,
        commands: &mut mpsc::UnboundedReceiver<SettleCommand>,
    ) -> Result<()> {
        static NEXT_CHANNEL_ID: AtomicU64 = AtomicU64::new(1);
        topology::declare_queue(session, &self.queue).await?;
        let channel = session.channel().await?;
        let channel_id = NEXT_CHANNEL_ID.fetch_add(1, Ordering::Relaxed);
        let unsettled = Unsettled::default();
        let closed = self.closed.clone();
        let ended = tokio::select! {
            settled = settle(commands, session, &channel, channel_id, &unsettled) => settled,
            consumed = self.consume(session, &channel, channel_id, &unsettled) => consumed,
            error = session.lost() => Err(error),
            () = closed.cancelled() => Ok(()),
        };
        if matches!(ended, Err(Error::Unconfirmed(_))) && !session.ended.is_cancelled() {
            self.unresponsive_since.get_or_insert_with(Instant::now);
        }
        if closed.is_cancelled() {
            self.buffer.clear(self.number);
            commands.close();
            settle(commands, session, &channel, channel_id, &unsettled).await?;
        }
        // Closing the channel requeues whatever is unsettled. A channel that waits for an unresponsive queue would not
        // answer.
        if self.unresponsive_since.is_none()
            && session.is_open(&channel)
            && let Err(error) = session.close(channel).await
        {
            tracing::debug!(queue = self.queue.name, %error, "channel not closed");
        }
        ended
    }

    /// Reads as the intake says. Ends only with an error: once the consumer was dropped, it is for the settling beside this to
    /// end when the last delivery is settled.
    async fn consume(
        &mut self,
        session: &Session,
        channel: &Channel,
        channel_id: u64,
        unsettled: &Unsettled,
    ) -> Result<()> {
        let at = Place {
            session,
            channel,
            channel_id,
            unsettled,
        };
        // Whether the queue answers shows at once, and not only when a slot is free. What comes by that, and has no slot, is given back.
        let mut stream = Some(self.start(&at, 1).await?);
        self.unresponsive_since = None;
        self.stop(&at, &mut stream).await?;
        let mut moves = self.buffer.moves();
        let mut looking = tokio::time::interval(LOOK_EVERY);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0;
        self.open.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = self.dropped.cancelled() => break,
                changed = self.open.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.adjust(&at, &mut stream).await?;
                    looking.reset();
                    looks = 0;
                }
                Some(take) = self.takes.recv() => self.take(&at, &mut stream, take).await?,
                delivery = next(&mut stream) => {
                    looks = 0;
                    looking.reset();
                    match delivery {
                        Some(delivery) => self.accept(delivery?, &at, stream.as_ref()).await?,
                        None => return Err(Error::Disconnected("the queue is gone".to_owned())),
                    }
                }
                _ = moves.changed(), if *self.open.borrow() => self.adjust(&at, &mut stream).await?,
                _ = looking.tick(), if stream.is_some() => {
                    let credit = stream.as_ref().is_some_and(|stream| stream.credit(unsettled) > 0);
                    looks = match credit && self.look(session, channel).await? > 0 {
                        true => looks + 1,
                        false => 0,
                    };
                    if looks >= LOOKS {
                        return Err(Error::Disconnected("the queue has messages and delivers none".to_owned()));
                    }
                }
            }
        }
        self.stop(&at, &mut stream).await?;
        self.buffer.clear(self.number);
        pending().await
    }

    /// Asks the queue for messages, at most as many as the intake says.
    async fn take(&self, at: &Place<'_>, stream: &mut Option<Stream>, take: Take) -> Result<()> {
        self.stop(at, stream).await?;
        let getting = at
            .channel
            .basic_get(self.queue.name.as_str().into(), BasicGetOptions::default());
        let Some(got) = at.session.rpc(&self.queue.name, getting).await? else {
            // An error means that the intake waits no longer.
            let _ = take.coming.send(0);
            return Ok(());
        };
        let waiting = usize::try_from(got.message_count).unwrap_or(usize::MAX);
        let more = waiting.min(take.most.saturating_sub(1));
        if more > 0 {
            *stream = Some(self.start(at, more).await?);
        }
        self.accept(got.delivery, at, None).await?;
        let _ = take.coming.send(1 + more);
        Ok(())
    }

    /// Lets as many messages come by themselves as there is room for: from half as many to twice as many, so that not every
    /// edit that starts or ends changes it.
    async fn adjust(&self, at: &Place<'_>, stream: &mut Option<Stream>) -> Result<()> {
        let (open, room) = (*self.open.borrow(), self.buffer.room());
        let fits = match stream {
            Some(_) if !open => false,
            // Without room the intake closes the queue in a moment.
            Some(_) if room == 0 => true,
            Some(stream) => {
                let credit = stream.credit(at.unsettled);
                credit <= 2 * room && 2 * credit >= room
            }
            None => !open,
        };
        if fits {
            return Ok(());
        }
        self.stop(at, stream).await?;
        // What was on its way has come.
        let room = self.buffer.room();
        if open && room > 0 {
            *stream = Some(self.start(at, room).await?);
        }
        Ok(())
    }

    /// Ends what comes by itself, and takes in what is on its way.
    async fn stop(&self, at: &Place<'_>, stream: &mut Option<Stream>) -> Result<()> {
        if let Some(mut ending) = stream.take() {
            let tag = ending.consumer.tag();
            let cancelling = at.channel.basic_cancel(tag, BasicCancelOptions::default());
            at.session.rpc("cancel", cancelling).await?;
            while let Some(Ok(delivery)) = ending.consumer.next().await {
                self.accept(delivery, at, Some(&ending)).await?;
            }
        }
        self.state.send_replace(State::Closed);
        Ok(())
    }

    /// Attaches a consumer to the queue that gets so many messages, and notes whether the queue answers.
    async fn start(&self, at: &Place<'_>, credit: usize) -> Result<Stream> {
        static NEXT_STREAM: AtomicU64 = AtomicU64::new(1);
        self.state.send_replace(State::Open);
        let limit = u16::try_from(credit).unwrap_or(u16::MAX);
        let limiting = at
            .channel
            .basic_qos(limit, BasicQosOptions { global: false });
        at.session.rpc("prefetch", limiting).await?;
        let consumer = topology::queue_consume(at.session, at.channel, &self.queue.name).await?;
        Ok(Stream {
            number: NEXT_STREAM.fetch_add(1, Ordering::Relaxed),
            consumer,
            limit: limit.into(),
        })
    }

    /// How many messages are ready in the queue. A queue that is gone is an error, and ends the channel.
    async fn look(&self, session: &Session, channel: &Channel) -> Result<u32> {
        let options = QueueDeclareOptions::durable().passive();
        let arguments = FieldTable::default();
        let found =
            topology::queue_declare(session, channel, &self.queue.name, options, arguments).await?;
        tracing::debug!(
            queue = self.queue.name,
            ready = found.message_count(),
            consumers = found.consumer_count(),
            "looked after the queue"
        );
        Ok(found.message_count())
    }

    /// Deletes the queue when it has not answered for long. The next attempt to consume declares it again.
    async fn recreate(&mut self, session: &Session, error: &Error) {
        if !matches!(error, Error::Unconfirmed(_)) {
            self.unresponsive_since = None;
        }
        let Some(since) = self
            .unresponsive_since
            .filter(|since| since.elapsed() >= self.recreate_after)
        else {
            return;
        };
        tracing::error!(
            queue = self.queue.name,
            silent = ?since.elapsed(),
            "the queue has no leader; deleting it, its edits will be announced again"
        );
        metrics::counter!("limekiln_broker_revived_total").increment(1);
        self.unresponsive_since = None;
        let limit = self.recreate_after.max(DELETE_TIMEOUT);
        if let Err(error) = topology::delete_queue(session, &self.queue.name, limit).await {
            // RabbitMQ 3.10 deletes the queue and ends the connection all the same.
            tracing::warn!(queue = self.queue.name, %error, "rabbitmq failed to delete it; if it stays unresponsive, use rabbitmqctl delete_queue");
        }
    }

    /// Decodes a message and puts it into the buffer. One that names no edit goes to the dead letters.
    async fn accept(
        &self,
        delivery: lapin::message::Delivery,
        at: &Place<'_>,
        stream: Option<&Stream>,
    ) -> Result<()> {
        let tag = delivery.delivery_tag;
        let mut hint: Hint = match serde_json::from_slice(&delivery.data) {
            Ok(hint) => hint,
            Err(error) => {
                tracing::warn!(queue = self.queue.name, %error, "a message that names no edit; to the dead letters");
                metrics::counter!("limekiln_broker_undecodable_total").increment(1);
                return Ok(at
                    .channel
                    .basic_reject(tag, BasicRejectOptions { requeue: false })
                    .await?);
            }
        };
        hint.trace = header(&delivery.properties, "traceparent");
        metrics::counter!("limekiln_broker_deliveries_total", "class" => self.class.as_str())
            .increment(1);
        let Some(commands) = self.commands.upgrade() else {
            return Ok(());
        };
        at.unsettled
            .delivered(tag, stream.map_or(0, |stream| stream.number));
        let channel_id = at.channel_id;
        let settler = move |hint: &Hint, settlement| {
            let command = SettleCommand::Settle {
                tag,
                channel_id,
                settlement,
            };
            if commands.send(command).is_err() {
                tracing::debug!(edit = %hint.edit, "settled after the consumer ended; the edit comes again");
                settlement_lost();
            }
        };
        let delivery = Delivery::new(hint, delivery.redelivered, settler);
        self.buffer.push(self.class, self.number, delivery);
        Ok(())
    }
}

/// Messages that come by themselves.
struct Stream {
    number: u64,
    consumer: Consumer,
    /// How many may be unsettled.
    limit: usize,
}

impl Stream {
    /// How many more may come.
    fn credit(&self, unsettled: &Unsettled) -> usize {
        self.limit.saturating_sub(unsettled.count(self.number))
    }
}

/// What the queue is read on.
struct Place<'a> {
    session: &'a Session,
    channel: &'a Channel,
    channel_id: u64,
    unsettled: &'a Unsettled,
}

/// The next message; pending for ever while none comes by itself.
async fn next(stream: &mut Option<Stream>) -> Option<lapin::Result<lapin::message::Delivery>> {
    match stream {
        Some(stream) => stream.consumer.next().await,
        None => pending().await,
    }
}

fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
