//! Consuming one class's edits of a model: one task, one channel, one consumer.
//!
//! Two things a consumer must not rely on, both seen on RabbitMQ 3.10: being told that its queue was deleted (when it is
//! declared again at once, the old consumer just goes mute), and a queue that answers (a quorum queue made within the last
//! seconds before `kill -9` comes back without a leader, for ever). So an idle lane looks after its queue, and a queue that
//! gives no answer for long is made anew: its messages are hints, and are announced again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer};
use limekiln_jobs::Class;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::link::{Link, Session, jittered};
use super::settle::{Back, Order, Unsettled, settle};
use super::take::Shared;
use super::topology;
use crate::{Delivery, Error, Hint, Result};

const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(5);
/// Between two looks at the queue while nothing comes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks that find messages, room for them, and none coming, until the consumer counts as mute.
const LOOKS: u32 = 2;

/// The task that consumes from one queue.
pub(super) struct Lane {
    pub(super) link: Link,
    pub(super) queue: String,
    pub(super) class: Class,
    pub(super) prefetch: u16,
    pub(super) revive_after: Duration,
    pub(super) shared: Arc<Shared>,
    pub(super) orders: mpsc::WeakUnboundedSender<Order>,
    pub(super) paused: watch::Receiver<bool>,
    pub(super) taking: watch::Sender<bool>,
    /// The taker is gone; deliveries it handed out may not be.
    pub(super) dropped: CancellationToken,
    pub(super) closed: CancellationToken,
    /// Since when the queue gives no answer while the broker does.
    pub(super) mute_since: Option<Instant>,
}

impl Lane {
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let closed = self.closed.clone();
        let mut pause = PAUSE_FIRST;
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
                    let served = self.serve(&session, &mut orders).await;
                    if self.taking.send_replace(false) && self.mute_since.is_none() {
                        pause = PAUSE_FIRST;
                    }
                    if let Err(error) = &served {
                        self.revive(&session, error).await;
                    }
                    served
                }
            };
            self.shared.clear(self.class);
            match served {
                Ok(()) => break,
                Err(error) if error.is_transient() => {
                    tracing::warn!(queue = self.queue, %error, "taking edits interrupted");
                }
                Err(error) => tracing::error!(queue = self.queue, %error, "can't take edits"),
            }
            // What is settled now has no channel any more, and whoever waits for it need not.
            while let Ok(order) = orders.try_recv() {
                order.lose();
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = self.dropped.cancelled() => break,
                () = closed.cancelled() => break,
            }
            pause = (pause * 2).min(PAUSE_LAST);
        }
        self.shared.clear(self.class);
    }

    /// Takes and settles on one channel. Fine means that there is nothing left to do for good.
    async fn serve(
        &mut self,
        session: &Session,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<()> {
        static INCARNATION: AtomicU64 = AtomicU64::new(1);
        topology::declare_queue(session, &self.queue).await?;
        let channel = session.channel().await?;
        let limiting = channel.basic_qos(self.prefetch, BasicQosOptions { global: false });
        session.rpc("prefetch", limiting).await?;
        let incarnation = INCARNATION.fetch_add(1, Ordering::Relaxed);
        let unsettled = Unsettled::default();
        let closed = self.closed.clone();
        let ended = tokio::select! {
            settled = settle(orders, session, &channel, incarnation, &unsettled) => settled,
            taken = self.take(session, &channel, incarnation, &unsettled) => taken,
            () = session.ended.cancelled() => Err(Error::Disconnected("connection lost".to_owned())),
            () = closed.cancelled() => Ok(()),
        };
        if closed.is_cancelled() {
            self.shared.clear(self.class);
            orders.close();
            settle(orders, session, &channel, incarnation, &unsettled).await?;
        }
        // Whatever is unsettled goes back to its queue with this. A channel that waits for a mute queue does not answer.
        if self.mute_since.is_none()
            && !session.ended.is_cancelled()
            && channel.status().connected()
            && let Err(error) = topology::close(session, channel).await
        {
            tracing::debug!(queue = self.queue, %error, "channel not closed");
        }
        ended
    }

    /// Takes whenever not paused. Ends only with an error: the end is for the settling to find.
    async fn take(
        &mut self,
        session: &Session,
        channel: &Channel,
        incarnation: u64,
        unsettled: &Unsettled,
    ) -> Result<()> {
        loop {
            if self.is_dropped(false).await {
                // Deliveries that were handed out are still settled.
                return std::future::pending().await;
            }
            self.taking.send_replace(true);
            let mut deliveries = self.consume(session, channel).await?;
            let mut looking = tokio::time::interval(LOOK_EVERY);
            looking.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            looking.reset();
            let mut looks = 0;
            let dropped = loop {
                tokio::select! {
                    delivery = deliveries.next() => {
                        looks = 0;
                        looking.reset();
                        match delivery {
                            Some(delivery) => self.accept(delivery?, channel, incarnation, unsettled).await?,
                            None => return Err(Error::Disconnected("the queue is gone".to_owned())),
                        }
                    }
                    dropped = self.is_dropped(true) => break dropped,
                    _ = looking.tick() => {
                        let room = unsettled.len() < usize::from(self.prefetch);
                        looks = match room && self.look(session, channel).await? > 0 {
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
            // Deliveries that crossed the cancellation; the stream ends after them.
            while let Some(Ok(delivery)) = deliveries.next().await {
                self.accept(delivery, channel, incarnation, unsettled)
                    .await?;
            }
            self.shared.clear(self.class);
            self.taking.send_replace(false);
            if dropped {
                return std::future::pending().await;
            }
        }
    }

    async fn consume(&mut self, session: &Session, channel: &Channel) -> Result<Consumer> {
        let consuming = channel.basic_consume(
            self.queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumed = session.rpc(&self.queue, consuming).await;
        match &consumed {
            Err(Error::Unconfirmed(_)) if !session.ended.is_cancelled() => {
                self.mute_since.get_or_insert_with(Instant::now);
            }
            _ => self.mute_since = None,
        }
        consumed
    }

    /// Messages ready in the queue. A queue that is gone is an error, and ends the channel.
    async fn look(&self, session: &Session, channel: &Channel) -> Result<u32> {
        let options = QueueDeclareOptions::durable().passive();
        let looking =
            channel.queue_declare(self.queue.as_str().into(), options, FieldTable::default());
        let found = session.rpc(&self.queue, looking).await?;
        tracing::debug!(
            queue = self.queue,
            ready = found.message_count(),
            consumers = found.consumer_count(),
            "looked after the queue"
        );
        Ok(found.message_count())
    }

    /// Deletes the queue when it has given no answer for long; the next attempt declares it anew.
    async fn revive(&mut self, session: &Session, error: &Error) {
        if !matches!(error, Error::Unconfirmed(_)) {
            self.mute_since = None;
        }
        let Some(since) = self
            .mute_since
            .filter(|since| since.elapsed() >= self.revive_after)
        else {
            return;
        };
        tracing::error!(
            queue = self.queue,
            silent = ?since.elapsed(),
            "the queue has no leader; deleting it, its edits will be announced again"
        );
        metrics::counter!("limekiln_broker_revived_total").increment(1);
        self.mute_since = None;
        if let Err(error) = topology::delete_queue(session, &self.queue, self.revive_after).await {
            // RabbitMQ 3.10 ends the connection over it, and the queue is gone all the same.
            tracing::warn!(queue = self.queue, %error, "rabbitmq failed to delete it; should it stay mute, use rabbitmqctl delete_queue");
        }
    }

    /// Waits until it is paused, or until it no longer is; true when the taker is gone instead.
    async fn is_dropped(&mut self, paused: bool) -> bool {
        let changed = async { self.paused.wait_for(|now| *now == paused).await.is_err() };
        tokio::select! {
            gone = changed => gone,
            () = self.dropped.cancelled() => true,
        }
    }

    async fn accept(
        &self,
        delivery: lapin::message::Delivery,
        channel: &Channel,
        incarnation: u64,
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
        let Some(orders) = self.orders.upgrade() else {
            return Ok(());
        };
        unsettled.delivered(tag);
        let back = Back {
            orders,
            tag,
            incarnation,
        };
        self.shared
            .push(self.class, Delivery::new(hint, delivery.redelivered, back));
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
