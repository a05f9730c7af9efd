//! This process's own queue of live messages and signals: exclusive, gone with the connection, bound to what is wanted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use limekiln_jobs::EditId;
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::link::{Link, Session, jittered};
use super::outbox::progress_key;
use super::topology::{PROGRESS, STOP, WAKE};
use crate::hub::Hub;
use crate::{Error, Result, Settings};

/// Messages RabbitMQ sends ahead of our acks.
const PREFETCH: u16 = 1024;
/// Messages RabbitMQ keeps for a slow process; the oldest go first.
const QUEUE_LENGTH: i32 = 20_000;
/// Bindings made at once.
const BINDINGS: usize = 256;
const PAUSE: Duration = Duration::from_millis(200);

/// Something to be told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    Edit(EditId),
    Wakes,
    Stops,
}

impl Topic {
    fn binding(self) -> (&'static str, String) {
        match self {
            Self::Edit(edit) => (PROGRESS, progress_key(edit)),
            Self::Wakes => (WAKE, String::new()),
            Self::Stops => (STOP, String::new()),
        }
    }
}

/// What this process wants to be told about.
#[derive(Debug)]
pub(super) struct Inbox {
    hub: Arc<Hub>,
    link: Link,
    patience: Duration,
    wakes: AtomicBool,
    stops: AtomicBool,
    /// Topics that came to be wanted or unwanted since the task looked last.
    changed: Mutex<Vec<Change>>,
    change: Notify,
}

#[derive(Debug)]
struct Change {
    topic: Topic,
    /// Told once the topic is bound.
    bound: Option<oneshot::Sender<()>>,
}

impl Inbox {
    /// Starts it, and waits until it is served for the first time.
    pub(super) async fn spawn(
        link: Link,
        hub: Arc<Hub>,
        settings: &Settings,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>> {
        let inbox = Arc::new(Self {
            hub,
            link,
            patience: settings.patience,
            wakes: AtomicBool::new(false),
            stops: AtomicBool::new(false),
            changed: Mutex::default(),
            change: Notify::new(),
        });
        let (sender, served) = oneshot::channel();
        tasks.spawn(Arc::clone(&inbox).run(sender));
        let served = tokio::time::timeout(settings.connect_timeout, served).await;
        match served {
            Ok(Ok(served)) => served.map(|()| inbox),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::Unconfirmed(settings.connect_timeout)),
        }
    }

    /// Wants to be told about this from now on. Waits until it is bound, if there is a connection and that takes no longer
    /// than `patience`.
    pub(super) async fn want(&self, topic: Topic) {
        match topic {
            Topic::Edit(_) => {}
            Topic::Wakes => self.wakes.store(true, Ordering::Release),
            Topic::Stops => self.stops.store(true, Ordering::Release),
        }
        let (sender, bound) = oneshot::channel();
        self.changed(topic, Some(sender));
        if self.link.is_up() && tokio::time::timeout(self.patience, bound).await.is_err() {
            tracing::warn!(?topic, "not bound yet; what comes before is missed");
        }
    }

    pub(super) fn unwatch(&self, edit: EditId) {
        self.changed(Topic::Edit(edit), None);
    }

    fn changed(&self, topic: Topic, bound: Option<oneshot::Sender<()>>) {
        if !self.link.is_up() {
            // The next session starts with what is wanted then, and nothing piles up until it comes.
            return;
        }
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.push(Change { topic, bound });
        self.change.notify_one();
    }

    fn is_wanted(&self, topic: Topic) -> bool {
        match topic {
            Topic::Edit(edit) => self.hub.is_watched(edit),
            Topic::Wakes => self.wakes.load(Ordering::Acquire),
            Topic::Stops => self.stops.load(Ordering::Acquire),
        }
    }

    fn wanted(&self) -> Vec<Topic> {
        let edits = self.hub.watched().into_iter().map(Topic::Edit);
        edits
            .chain(
                [Topic::Wakes, Topic::Stops]
                    .into_iter()
                    .filter(|&topic| self.is_wanted(topic)),
            )
            .collect()
    }

    async fn run(self: Arc<Self>, first: oneshot::Sender<Result<()>>) {
        let mut first = Some(first);
        let closed = self.hub.closed().clone();
        let serving = async {
            loop {
                match self.link.session(Duration::MAX).await {
                    Err(Error::Closed) => return,
                    Err(error) => tracing::debug!(%error, "no connection for live messages"),
                    Ok(session) => {
                        if let Err(error) = self.serve(&session, &mut first).await {
                            tracing::warn!(%error, "live messages interrupted");
                            // Whoever starts us gives up with this.
                            if let Some(first) = first.take() {
                                let _ = first.send(Err(error));
                                return;
                            }
                        }
                        self.hub.unbound_all();
                    }
                }
                tokio::time::sleep(jittered(PAUSE)).await;
            }
        };
        closed.run_until_cancelled(serving).await;
    }

    async fn serve(
        &self,
        session: &Session,
        first: &mut Option<oneshot::Sender<Result<()>>>,
    ) -> Result<()> {
        let mut bindings = Bindings::declare(session).await?;
        let wanted = self.wanted();
        bindings.bind(&wanted).await?;
        let mut consumer = bindings.consume().await?;
        let edits: Vec<_> = wanted
            .iter()
            .filter_map(|topic| match topic {
                Topic::Edit(edit) => Some(*edit),
                Topic::Wakes | Topic::Stops => None,
            })
            .collect();
        edits.iter().for_each(|&edit| self.hub.bound(edit));
        // Whatever was published while nobody was bound is missed.
        self.hub.lagged(&edits);
        self.hub.wake();
        if let Some(first) = first.take() {
            // Nobody waits when `connect` was given up.
            let _ = first.send(Ok(()));
        }
        loop {
            tokio::select! {
                delivery = consumer.next() => {
                    let delivery = ended(delivery)?;
                    let mut tag = delivery.delivery_tag;
                    self.receive(&delivery);
                    let mut more = usize::from(PREFETCH) / 4;
                    while more > 0 && let Some(delivery) = consumer.next().now_or_never() {
                        let delivery = ended(delivery)?;
                        tag = delivery.delivery_tag;
                        self.receive(&delivery);
                        more -= 1;
                    }
                    let all = BasicAckOptions { multiple: true };
                    session.rpc("ack", bindings.channel.basic_ack(tag, all)).await?;
                }
                () = self.change.notified() => self.rebind(&mut bindings).await?,
                () = session.ended.cancelled() => return Err(Error::Disconnected("connection lost".to_owned())),
            }
        }
    }

    /// Binds what is wanted now, of what changed, and unbinds the rest of it.
    async fn rebind(&self, bindings: &mut Bindings<'_>) -> Result<()> {
        let changed =
            std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        let topics: HashSet<_> = changed.iter().map(|change| change.topic).collect();
        let (wanted, unwanted): (Vec<_>, Vec<_>) =
            topics.into_iter().partition(|&topic| self.is_wanted(topic));
        bindings.bind(&wanted).await?;
        for topic in wanted {
            if let Topic::Edit(edit) = topic {
                self.hub.bound(edit);
            }
        }
        for change in changed {
            if let Some(bound) = change.bound
                && bound.send(()).is_err()
                && let Topic::Edit(edit) = change.topic
            {
                // The watcher did not wait for this, so it must look again.
                self.hub.lagged(&[edit]);
            }
        }
        bindings.unbind(&unwanted).await
    }

    fn receive(&self, delivery: &Delivery) {
        match delivery.exchange.as_str() {
            WAKE => self.hub.wake(),
            STOP => match serde_json::from_slice(&delivery.data) {
                Ok(stop) => self.hub.stop(stop),
                Err(error) => tracing::warn!(%error, "not a stop"),
            },
            _ => {
                // Most of what comes late is for edits nobody watches any more: not worth decoding.
                let key = delivery.routing_key.as_str().strip_prefix("edit.");
                let edit = key.and_then(|edit| edit.parse::<EditId>().ok());
                if edit.is_some_and(|edit| self.hub.is_watched(edit)) {
                    match serde_json::from_slice(&delivery.data) {
                        Ok(live) => self.hub.live(live),
                        // A newer version may send what we do not know.
                        Err(error) => tracing::debug!(%error, "not a live message"),
                    }
                }
            }
        }
    }
}

fn ended(delivery: Option<lapin::Result<Delivery>>) -> Result<Delivery> {
    match delivery {
        Some(Ok(delivery)) => Ok(delivery),
        Some(Err(error)) => Err(error.into()),
        None => Err(Error::Disconnected(
            "the queue of live messages is gone".to_owned(),
        )),
    }
}

/// The queue of one session, and what it is bound to.
struct Bindings<'a> {
    session: &'a Session,
    channel: Channel,
    queue: String,
    bound: HashSet<Topic>,
}

impl<'a> Bindings<'a> {
    async fn declare(session: &'a Session) -> Result<Self> {
        let channel = session.channel().await?;
        // A name of its own each time: the last connection may not be dead yet for RabbitMQ, and its queue locked.
        let queue = format!("limekiln.inbox.{}", Uuid::now_v7().simple());
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(QUEUE_LENGTH));
        let options = QueueDeclareOptions::exclusive().auto_delete();
        let declaring = channel.queue_declare(queue.as_str().into(), options, arguments);
        session.rpc(&queue, declaring).await?;
        let limiting = channel.basic_qos(PREFETCH, BasicQosOptions::default());
        session.rpc(&queue, limiting).await?;
        Ok(Self {
            session,
            channel,
            queue,
            bound: HashSet::new(),
        })
    }

    async fn consume(&self) -> Result<Consumer> {
        let consuming = self.channel.basic_consume(
            self.queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        self.session.rpc(&self.queue, consuming).await
    }

    async fn bind(&mut self, topics: &[Topic]) -> Result<()> {
        let fresh: Vec<_> = topics
            .iter()
            .copied()
            .filter(|topic| !self.bound.contains(topic))
            .collect();
        for some in fresh.chunks(BINDINGS) {
            let binding = try_join_all(some.iter().map(|topic| {
                let (exchange, key) = topic.binding();
                self.channel.queue_bind(
                    self.queue.as_str().into(),
                    exchange.into(),
                    key.into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
            }));
            self.session.rpc(&self.queue, binding).await?;
            self.bound.extend(some);
        }
        Ok(())
    }

    async fn unbind(&mut self, topics: &[Topic]) -> Result<()> {
        let stale: Vec<_> = topics
            .iter()
            .copied()
            .filter(|topic| self.bound.contains(topic))
            .collect();
        for some in stale.chunks(BINDINGS) {
            let unbinding = async {
                let all = join_all(some.iter().map(|topic| {
                    let (exchange, key) = topic.binding();
                    self.channel.queue_unbind(
                        self.queue.as_str().into(),
                        exchange.into(),
                        key.into(),
                        FieldTable::default(),
                    )
                }));
                all.await.into_iter().collect::<lapin::Result<Vec<()>>>()
            };
            self.session.rpc(&self.queue, unbinding).await?;
            some.iter().for_each(|topic| {
                self.bound.remove(topic);
            });
        }
        Ok(())
    }
}
