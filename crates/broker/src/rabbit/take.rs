//! Consuming edits: one task, one channel, a consumer for each class.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use limekiln_jobs::{Class, ModelName};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::link::{Link, Session, jittered};
use super::settle::{Back, Order, Unsettled, settle};
use super::topology;
use crate::hint::queue_name;
use crate::{Delivery, Error, Hint, Result};

const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(5);
/// How long `pause` and `flush` wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// Takes edits of one model.
#[derive(Debug)]
pub(crate) struct Taker {
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    paused: watch::Sender<bool>,
    taking: watch::Receiver<bool>,
    closed: CancellationToken,
    _dropped: DropGuard,
}

/// What was delivered and not handed out.
#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<[VecDeque<Delivery>; 2]>,
    came: Notify,
    paused: AtomicBool,
}

impl Shared {
    fn push(&self, delivery: Delivery) {
        let line = match delivery.hint.class {
            Class::Interactive => 0,
            Class::Bulk => 1,
        };
        self.lines()[line].push_back(delivery);
        self.came.notify_one();
    }

    fn pop(&self) -> Option<Delivery> {
        if self.paused.load(Ordering::Acquire) {
            return None;
        }
        let mut lines = self.lines();
        lines[0].pop_front().or_else(|| lines[1].pop_front())
    }

    /// Gives everything back: a delivery dropped is a delivery requeued.
    fn clear(&self) {
        let lines = std::mem::take(&mut *self.lines());
        drop(lines);
    }

    fn lines(&self) -> MutexGuard<'_, [VecDeque<Delivery>; 2]> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taker {
    pub(super) fn spawn(
        link: &Link,
        model: &ModelName,
        slots: u16,
        closed: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let (orders, receiver) = mpsc::unbounded_channel();
        let (paused, pausing) = watch::channel(false);
        let (taken, taking) = watch::channel(false);
        let dropped = CancellationToken::new();
        let task = Task {
            link: link.clone(),
            model: model.clone(),
            prefetch: slots.saturating_add(1),
            shared: Arc::clone(&shared),
            orders: orders.downgrade(),
            paused: pausing,
            taking: taken,
            dropped: dropped.clone(),
            closed: closed.clone(),
        };
        tasks.spawn(task.run(receiver));
        Self {
            shared,
            orders,
            paused,
            taking,
            closed: closed.clone(),
            _dropped: dropped.drop_guard(),
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        loop {
            if self.closed.is_cancelled() {
                return None;
            }
            // A permit is kept for us should one come between the look and the wait.
            if let Some(delivery) = self.shared.pop() {
                return Some(delivery);
            }
            tokio::select! {
                () = self.shared.came.notified() => {}
                () = self.closed.cancelled() => return None,
            }
        }
    }

    pub(crate) fn ready(&self) -> usize {
        match self.shared.paused.load(Ordering::Acquire) {
            true => 0,
            false => self.shared.lines().iter().map(VecDeque::len).sum(),
        }
    }

    pub(crate) async fn pause(&mut self) {
        self.shared.paused.store(true, Ordering::Release);
        self.paused.send_replace(true);
        let stopped = self.taking.wait_for(|taking| !taking);
        match timeout(PATIENCE, stopped).await {
            // An error means that the task is gone, and it takes nothing either.
            Ok(_) => {}
            Err(_) => tracing::warn!("rabbitmq did not confirm the pause"),
        }
        self.shared.clear();
        self.flush().await;
    }

    pub(crate) fn resume(&mut self) {
        self.shared.paused.store(false, Ordering::Release);
        self.paused.send_replace(false);
        self.shared.came.notify_one();
    }

    pub(crate) async fn flush(&self) {
        let (told, written) = oneshot::channel();
        if self.orders.send(Order::Flush(told)).is_err() {
            return;
        }
        if timeout(PATIENCE, written).await.is_err() {
            tracing::warn!("settlements were not written in time; their edits come again");
        }
    }
}

/// The task behind a [`Taker`].
struct Task {
    link: Link,
    model: ModelName,
    prefetch: u16,
    shared: Arc<Shared>,
    orders: mpsc::WeakUnboundedSender<Order>,
    paused: watch::Receiver<bool>,
    taking: watch::Sender<bool>,
    /// The taker is gone; deliveries it handed out may not be.
    dropped: CancellationToken,
    closed: CancellationToken,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
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
                    if self.taking.send_replace(false) {
                        pause = PAUSE_FIRST;
                    }
                    served
                }
            };
            self.shared.clear();
            match served {
                Ok(()) => break,
                Err(error) if error.is_transient() => {
                    tracing::warn!(model = %self.model, %error, "taking edits interrupted");
                }
                Err(error) => tracing::error!(model = %self.model, %error, "can't take edits"),
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
        self.shared.clear();
    }

    /// Takes and settles on one channel. Fine means that there is nothing left to do for good.
    async fn serve(
        &mut self,
        session: &Session,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<()> {
        static INCARNATION: AtomicU64 = AtomicU64::new(1);
        for class in Class::ALL {
            topology::declare_queue(session, &queue_name(&self.model, class)).await?;
        }
        let channel = session.channel().await?;
        // Not global: for each consumer its own, so that bulk edits never hold an interactive one up.
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
            self.shared.clear();
            orders.close();
            settle(orders, session, &channel, incarnation, &unsettled).await?;
        }
        if !session.ended.is_cancelled() && channel.status().connected() {
            // Whatever is unsettled goes back to its queue with this.
            topology::close(session, channel).await?;
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
            let (mut deliveries, tags) = consume(session, channel, &self.model).await?;
            let dropped = loop {
                tokio::select! {
                    delivery = deliveries.next() => match delivery.flatten() {
                        Some(Ok(delivery)) => self.accept(delivery, channel, incarnation, unsettled).await?,
                        Some(Err(error)) => return Err(error.into()),
                        None => return Err(Error::Disconnected("a queue is gone".to_owned())),
                    },
                    dropped = self.is_dropped(true) => break dropped,
                }
            };
            for tag in tags {
                let cancelling = channel.basic_cancel(tag, BasicCancelOptions::default());
                session.rpc("cancel", cancelling).await?;
            }
            // Deliveries that crossed the cancellation; the streams end after them.
            while let Some(delivery) = deliveries.next().await {
                if let Some(Ok(delivery)) = delivery {
                    self.accept(delivery, channel, incarnation, unsettled)
                        .await?;
                }
            }
            self.shared.clear();
            self.taking.send_replace(false);
            if dropped {
                return std::future::pending().await;
            }
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
                tracing::warn!(model = %self.model, %error, "a message that names no edit; to the dead letters");
                metrics::counter!("limekiln_broker_undecodable_total").increment(1);
                return Ok(channel
                    .basic_reject(tag, BasicRejectOptions { requeue: false })
                    .await?);
            }
        };
        hint.trace = header(&delivery.properties, "traceparent");
        metrics::counter!("limekiln_broker_deliveries_total", "class" => hint.class.as_str())
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
            .push(Delivery::new(hint, delivery.redelivered, back));
        Ok(())
    }
}

/// A delivery or an error, or none at the end of one of the consumers.
type Taken = Option<lapin::Result<lapin::message::Delivery>>;

/// Consumes from both queues of the model; what comes, and the consumers' tags.
async fn consume(
    session: &Session,
    channel: &Channel,
    model: &ModelName,
) -> Result<(impl Stream<Item = Taken> + Unpin + use<>, Vec<ShortString>)> {
    let mut tags = Vec::new();
    let mut consumers = Vec::new();
    for class in Class::ALL {
        let queue = queue_name(model, class);
        let consuming = channel.basic_consume(
            queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = session.rpc(&queue, consuming).await?;
        tags.push(consumer.tag());
        // One that ends is a fault, whatever the other does.
        consumers.push(consumer.map(Some).chain(stream::iter([None])));
    }
    Ok((stream::select_all(consumers), tags))
}

fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
