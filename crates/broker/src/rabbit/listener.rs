//! Listens to live messages and signals: binds this process's own queue to what the hub wants, and feeds the hub.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use limekiln_jobs::WorkerId;
use limekiln_jobs::retry::Policy;
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;

use super::bindings::{Bindings, PREFETCH, Topic};
use super::link::Link;
use super::session::Session;
use super::topology::{self, STOP, WAKE};
use crate::hub::Hub;
use crate::{Error, Followed, Result, Settings};

const RETRY: Policy = Policy::new(Duration::from_millis(400), Duration::from_millis(400));

/// Keeps this process's queue bound to the topics that somebody in the process wants.
#[derive(Debug)]
pub(super) struct Listener {
    hub: Arc<Hub>,
    link: Link,
    reconnect_timeout: Duration,
    wakes: AtomicBool,
    stops: AtomicBool,
    /// The workers of this process.
    workers: Mutex<HashSet<WorkerId>>,
    /// The topics that were requested or dropped since the task last looked.
    changes: Mutex<Vec<Change>>,
    changed: Notify,
}

#[derive(Debug)]
struct Change {
    topic: Topic,
    /// Answered once the topic is bound. A dropped topic has nobody to answer.
    bound: Option<oneshot::Sender<()>>,
}

impl Listener {
    /// Starts the task, and waits until it listens for the first time, if there is a connection.
    pub(super) async fn spawn(
        link: Link,
        hub: Arc<Hub>,
        settings: &Settings,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>> {
        let listener = Arc::new(Self {
            hub,
            link,
            reconnect_timeout: settings.reconnect_timeout,
            wakes: AtomicBool::new(false),
            stops: AtomicBool::new(false),
            workers: Mutex::default(),
            changes: Mutex::default(),
            changed: Notify::new(),
        });
        let (sender, served) = oneshot::channel();
        tasks.spawn(Arc::clone(&listener).run(sender));
        if !listener.link.is_up() {
            return Ok(listener);
        }
        let served = tokio::time::timeout(settings.connect_timeout, served).await;
        match served {
            Ok(Ok(served)) => served.map(|()| listener),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::Unconfirmed(settings.connect_timeout)),
        }
    }

    /// Listens to a topic from now on. Waits until the topic is bound, but not longer than `reconnect_timeout`, and not
    /// at all without a connection.
    pub(super) async fn listen(&self, topic: Topic) {
        match topic {
            Topic::Live(_) => {}
            Topic::Wakes => self.wakes.store(true, Ordering::Release),
            Topic::Stops => self.stops.store(true, Ordering::Release),
            Topic::Offers(worker) => {
                self.workers().insert(worker);
            }
        }
        let (sender, bound) = oneshot::channel();
        self.change(topic, Some(sender));
        let bound = tokio::time::timeout(self.reconnect_timeout, bound);
        if self.link.is_up() && bound.await.is_err() {
            tracing::warn!(?topic, "not bound yet; what comes before is missed");
        }
    }

    /// Unbinds a topic, unless it has a subscriber again by then.
    pub(super) fn unlisten(&self, followed: Followed) {
        self.change(Topic::Live(followed), None);
    }

    fn change(&self, topic: Topic, bound: Option<oneshot::Sender<()>>) {
        if !self.link.is_up() {
            // The next session starts with whatever is wanted then. Until it comes, changes must not pile up.
            return;
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push(Change { topic, bound });
        self.changed.notify_one();
    }

    fn is_wanted(&self, topic: Topic) -> bool {
        match topic {
            Topic::Live(followed) => self.hub.is_subscribed(followed),
            Topic::Wakes => self.wakes.load(Ordering::Acquire),
            Topic::Stops => self.stops.load(Ordering::Acquire),
            Topic::Offers(worker) => self.workers().contains(&worker),
        }
    }

    fn workers(&self) -> MutexGuard<'_, HashSet<WorkerId>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> Vec<Topic> {
        let mut wanted: Vec<_> = self.hub.subscribed().into_iter().map(Topic::Live).collect();
        wanted.extend(self.workers().iter().copied().map(Topic::Offers));
        wanted.extend(
            [Topic::Wakes, Topic::Stops]
                .into_iter()
                .filter(|&topic| self.is_wanted(topic)),
        );
        wanted
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
                            // The caller of `spawn` fails with it, where it waits.
                            if let Some(first) = first.take()
                                && first.send(Err(error)).is_ok()
                            {
                                return;
                            }
                        }
                        self.hub.unbound_all();
                    }
                }
                tokio::time::sleep(RETRY.start().delay()).await;
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
        let followed = followed(&wanted);
        bindings.bind(wanted).await?;
        let mut consumer = bindings.consume().await?;
        followed.iter().for_each(|&one| self.hub.bound(one));
        // Whatever was published while the topics were not bound was missed.
        self.hub.lagged(&followed);
        self.hub.wake();
        if let Some(first) = first.take() {
            // An error means that the caller of `connect` gave up waiting.
            let _ = first.send(Ok(()));
        }
        loop {
            tokio::select! {
                delivery = consumer.next() => {
                    let delivery = received(delivery)?;
                    let mut tag = delivery.delivery_tag;
                    self.receive(&delivery);
                    let mut more = usize::from(PREFETCH) / 4;
                    while more > 0 && let Some(delivery) = consumer.next().now_or_never() {
                        let delivery = received(delivery)?;
                        tag = delivery.delivery_tag;
                        self.receive(&delivery);
                        more -= 1;
                    }
                    let all = BasicAckOptions { multiple: true };
                    session.rpc("ack", bindings.channel.basic_ack(tag, all)).await?;
                }
                () = self.changed.notified() => self.rebind(&mut bindings).await?,
                error = session.lost() => return Err(error),
            }
        }
    }

    /// Of the topics that changed, binds those that are wanted now and unbinds the others.
    async fn rebind(&self, bindings: &mut Bindings<'_>) -> Result<()> {
        let changes =
            std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner));
        let topics: HashSet<_> = changes.iter().map(|change| change.topic).collect();
        let (wanted, unwanted): (Vec<_>, Vec<_>) =
            topics.into_iter().partition(|&topic| self.is_wanted(topic));
        let followed = followed(&wanted);
        bindings.bind(wanted).await?;
        followed.iter().for_each(|&one| self.hub.bound(one));
        for change in changes {
            if let Some(bound) = change.bound
                && bound.send(()).is_err()
                && let Topic::Live(followed) = change.topic
            {
                // The subscriber did not wait until the topic was bound, so it must read Postgres again.
                self.hub.lagged(&[followed]);
            }
        }
        bindings.unbind(unwanted).await
    }

    fn receive(&self, delivery: &Delivery) {
        match delivery.exchange.as_str() {
            WAKE => self.hub.wake(),
            STOP => match serde_json::from_slice(&delivery.data) {
                Ok(stop) => self.hub.stop(stop),
                Err(error) => tracing::warn!(%error, "not a stop"),
            },
            _ => {
                if let Some(worker) = topology::offered(delivery.routing_key.as_str()) {
                    return match serde_json::from_slice(&delivery.data) {
                        Ok(hint) => self.hub.offer(worker, hint),
                        Err(error) => tracing::warn!(%error, "not an offer"),
                    };
                }
                // Late messages are mostly for edits without a subscriber, and are not worth decoding.
                let followed = topology::followed(delivery.routing_key.as_str());
                if let Some(followed) = followed.filter(|one| self.hub.is_subscribed(*one)) {
                    match serde_json::from_slice(&delivery.data) {
                        Ok(live) => self.hub.live(followed, Arc::new(live)),
                        // A newer version may send what this one does not know.
                        Err(error) => tracing::debug!(%error, "not a live message"),
                    }
                }
            }
        }
    }
}

/// The delivery, or why there are no more.
fn received(delivery: Option<lapin::Result<Delivery>>) -> Result<Delivery> {
    match delivery {
        Some(Ok(delivery)) => Ok(delivery),
        Some(Err(error)) => Err(error.into()),
        None => Err(Error::Disconnected(
            "the queue of live messages is gone".to_owned(),
        )),
    }
}

fn followed(topics: &[Topic]) -> Vec<Followed> {
    let followed = |topic: &Topic| match topic {
        Topic::Live(followed) => Some(*followed),
        Topic::Wakes | Topic::Stops | Topic::Offers(_) => None,
    };
    topics.iter().filter_map(followed).collect()
}
