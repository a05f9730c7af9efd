//! Consumes from one queue, one class's edits of a model: one task, one channel, one AMQP consumer.
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
    BasicCancelOptions, BasicQosOptions, BasicRejectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer};
use limekiln_jobs::{Class, Retryable};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::buffer::Buffer;
use super::link::{Link, RETRY};
use super::session::Session;
use super::settle::{SettleCommand, Unsettled, settle, settlement_lost};
use super::topology;
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
    pub(super) queue: String,
    pub(super) class: Class,
    /// How many deliveries may be unsettled.
    pub(super) prefetch: u16,
    pub(super) recreate_after: Duration,
    pub(super) buffer: Arc<Buffer>,
    /// Given to each delivery, for its settlement. It is weak so that the task ends with the last delivery.
    pub(super) commands: mpsc::WeakUnboundedSender<SettleCommand>,
    pub(super) paused: watch::Receiver<bool>,
    pub(super) consuming: watch::Sender<bool>,
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
                    if self.consuming.send_replace(false) && self.unresponsive_since.is_none() {
                        backoff.reset();
                    }
                    if let Err(error) = &served {
                        self.recreate(&session, error).await;
                    }
                    served
                }
            };
            self.buffer.clear(self.class);
            match served {
                Ok(()) => break,
                Err(error) if error.is_transient() => {
                    tracing::warn!(queue = self.queue, %error, "taking edits interrupted");
                }
                Err(error) => tracing::error!(queue = self.queue, %error, "can't take edits"),
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
        self.buffer.clear(self.class);
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
        let limiting = channel.basic_qos(self.prefetch, BasicQosOptions { global: false });
        session.rpc("prefetch", limiting).await?;
        let channel_id = NEXT_CHANNEL_ID.fetch_add(1, Ordering::Relaxed);
        let unsettled = Unsettled::default();
        let closed = self.closed.clone();
        let ended = tokio::select! {
            settled = settle(commands, session, &channel, channel_id, &unsettled) => settled,
            consumed = self.consume(session, &channel, channel_id, &unsettled) => consumed,
            error = session.lost() => Err(error),
            () = closed.cancelled() => Ok(()),
        };
        if closed.is_cancelled() {
            self.buffer.clear(self.class);
            commands.close();
            settle(commands, session, &channel, channel_id, &unsettled).await?;
        }
        // Closing the channel requeues whatever is unsettled. A channel that waits for an unresponsive queue would not
        // answer.
        if self.unresponsive_since.is_none()
            && session.is_open(&channel)
            && let Err(error) = session.close(channel).await
        {
            tracing::debug!(queue = self.queue, %error, "channel not closed");
        }
        ended
    }

    /// Consumes whenever it is not paused. Ends only with an error: once the consumer was dropped, it is for the
    /// settling beside this to end when the last delivery is settled.
    async fn consume(
        &mut self,
        session: &Session,
        channel: &Channel,
        channel_id: u64,
        unsettled: &Unsettled,
    ) -> Result<()> {
        loop {
            if self.is_dropped(false).await {
                return pending().await;
            }
            self.consuming.send_replace(true);
            let mut deliveries = self.start(session, channel).await?;
            let mut looking = tokio::time::interval(LOOK_EVERY);
            looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
            looking.reset();
            let mut looks = 0;
            let dropped = loop {
                tokio::select! {
                    delivery = deliveries.next() => {
                        looks = 0;
                        looking.reset();
                        match delivery {
                            Some(delivery) => self.accept(delivery?, channel, channel_id, unsettled).await?,
                            None => return Err(Error::Disconnected("the queue is gone".to_owned())),
                        }
                    }
                    dropped = self.is_dropped(true) => break dropped,
                    _ = looking.tick() => {
                        let credit = unsettled.len() < usize::from(self.prefetch);
                        looks = match credit && self.look(session, channel).await? > 0 {
                            true => looks + 1,
                            false => 0,
                        };
                        if looks >= LOOKS {
                            return Err(Error::Disconnected("the queue has messages and delivers none".to_owned()));
                        }
                    }
                }
            };
            let cancelling = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
            session.rpc("cancel", cancelling).await?;
            // Deliveries that were under way at the cancellation. The stream ends after them.
            while let Some(Ok(delivery)) = deliveries.next().await {
                self.accept(delivery, channel, channel_id, unsettled)
                    .await?;
            }
            self.buffer.clear(self.class);
            self.consuming.send_replace(false);
            if dropped {
                return pending().await;
            }
        }
    }

    /// Attaches a consumer to the queue, and notes whether the queue answers.
    async fn start(&mut self, session: &Session, channel: &Channel) -> Result<Consumer> {
        let consumed = topology::queue_consume(session, channel, &self.queue).await;
        match &consumed {
            Err(Error::Unconfirmed(_)) if !session.ended.is_cancelled() => {
                self.unresponsive_since.get_or_insert_with(Instant::now);
            }
            _ => self.unresponsive_since = None,
        }
        consumed
    }

    /// How many messages are ready in the queue. A queue that is gone is an error, and ends the channel.
    async fn look(&self, session: &Session, channel: &Channel) -> Result<u32> {
        let options = QueueDeclareOptions::durable().passive();
        let arguments = FieldTable::default();
        let found =
            topology::queue_declare(session, channel, &self.queue, options, arguments).await?;
        tracing::debug!(
            queue = self.queue,
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
            queue = self.queue,
            silent = ?since.elapsed(),
            "the queue has no leader; deleting it, its edits will be announced again"
        );
        metrics::counter!("limekiln_broker_revived_total").increment(1);
        self.unresponsive_since = None;
        let limit = self.recreate_after.max(DELETE_TIMEOUT);
        if let Err(error) = topology::delete_queue(session, &self.queue, limit).await {
            // RabbitMQ 3.10 deletes the queue and ends the connection all the same.
            tracing::warn!(queue = self.queue, %error, "rabbitmq failed to delete it; if it stays unresponsive, use rabbitmqctl delete_queue");
        }
    }

    /// Waits until the consumer is paused, or until it no longer is. True when it was dropped instead.
    async fn is_dropped(&mut self, paused: bool) -> bool {
        let changed = async { self.paused.wait_for(|now| *now == paused).await.is_err() };
        tokio::select! {
            gone = changed => gone,
            () = self.dropped.cancelled() => true,
        }
    }

    /// Decodes a message and puts it into the buffer. One that names no edit goes to the dead letters.
    async fn accept(
        &self,
        delivery: lapin::message::Delivery,
        channel: &Channel,
        channel_id: u64,
        unsettled: &Unsettled,
    ) -> Result<()> {
        let tag = delivery.delivery_tag;
        let mut hint: Hint = match serde_json::from_slice(&delivery.data) {
            Ok(hint) => hint,
            Err(error) => {
                tracing::warn!(queue = self.queue, %error, "a message that names no edit; to the dead letters");
                metrics::counter!("limekiln_broker_undecodable_total").increment(1);
                return Ok(channel
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
        unsettled.delivered(tag);
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
        self.buffer.push(self.class, delivery);
        Ok(())
    }
}

fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
