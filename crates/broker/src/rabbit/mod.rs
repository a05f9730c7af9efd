//! RabbitMQ.
//!
//! | module | what is in it |
//! |---|---|
//! | `dial` | one connection attempt that can always be given up |
//! | `link` | a connection that comes back, and its [`Session`](link::Session)s in between |
//! | `topology` | exchanges and queues, declared as often as one likes |
//! | `publish` | announcements, sorted by queue |
//! | `outlet` | one queue's announcements: mandatory, confirmed, many at once |
//! | `outbox` | live messages and signals: bounded, lossy, never waited for |
//! | `inbox` | this process's own queue of live messages and signals |
//! | `take` | edits delivered and not handed out |
//! | `lane` | consuming from one queue |
//! | `settle` | acks and the like on their way back |
//! | `doctor` | what `check` looks at |
//!
//! Two connections a process: RabbitMQ stops reading from one that publishes when it runs out of memory or disk, and acks
//! must get through all the same.

mod dial;
mod doctor;
mod inbox;
mod lane;
mod link;
mod outbox;
mod outlet;
mod publish;
mod settle;
mod take;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{QueueDeleteOptions, QueuePurgeOptions};
use limekiln_jobs::{Class, EditId, Live, ModelName};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::hint::{DEAD, queue_name};
use crate::hub::Hub;
use crate::{Depth, Error, Hint, Report, Result, Settings, Stop, Stops, Subscription, Wakes};
use inbox::{Inbox, Topic};
use link::Link;
use outbox::Outbox;
use publish::Publisher;
pub(crate) use take::Taker;

/// How long `close` waits for each of its two halves.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections to RabbitMQ and the tasks that use them.
#[derive(Debug)]
pub(crate) struct Rabbit {
    settings: Settings,
    publishing: Link,
    consuming: Link,
    publisher: Publisher,
    outbox: Arc<Outbox>,
    inbox: Arc<Inbox>,
    hub: Arc<Hub>,
    tasks: TaskTracker,
    links: TaskTracker,
    /// Ends the tasks.
    closed: CancellationToken,
    /// Ends the connections, after the tasks.
    hung_up: CancellationToken,
}

impl Rabbit {
    pub(crate) async fn connect(settings: &Settings) -> Result<Self> {
        let closed = CancellationToken::new();
        let hung_up = CancellationToken::new();
        // Should a later step fail, nothing of the earlier ones must linger.
        let giving_up = [closed.clone().drop_guard(), hung_up.clone().drop_guard()];
        let links = TaskTracker::new();
        let publishing = Link::open("publish", settings, hung_up.clone(), &links).await?;
        let consuming = Link::open("consume", settings, hung_up.clone(), &links).await?;

        let tasks = TaskTracker::new();
        let hub = Arc::new(Hub::new(closed.clone()));
        let publisher = Publisher::new(publishing.clone(), settings, closed.clone(), &tasks);
        let outbox = Outbox::spawn(publishing.clone(), closed.clone(), &tasks);
        let inbox = Inbox::spawn(consuming.clone(), Arc::clone(&hub), settings, &tasks).await?;
        for guard in giving_up {
            guard.disarm();
        }
        Ok(Self {
            settings: settings.clone(),
            publishing,
            consuming,
            publisher,
            outbox,
            inbox,
            hub,
            tasks,
            links,
            closed,
            hung_up,
        })
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.publishing.is_up() && self.consuming.is_up()
    }

    pub(crate) async fn close(&self) {
        self.closed.cancel();
        self.tasks.close();
        if tokio::time::timeout(CLOSE_TIMEOUT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("broker tasks did not end in time; messages under way may come again");
        }
        self.hung_up.cancel();
        self.links.close();
        if tokio::time::timeout(CLOSE_TIMEOUT, self.links.wait())
            .await
            .is_err()
        {
            tracing::warn!("rabbitmq did not confirm the end of the connection");
        }
    }

    pub(crate) async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        self.publisher.announce(hints).await
    }

    pub(crate) async fn consume(&self, model: &ModelName, slots: u16) -> Result<Taker> {
        if self.closed.is_cancelled() {
            return Err(Error::Closed);
        }
        match topology::declare_model(&self.consuming, self.settings.patience, model).await {
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) => tracing::warn!(%model, %error, "taking edits once rabbitmq is back"),
            Ok(()) => {}
        }
        Ok(Taker::spawn(
            &self.consuming,
            model,
            slots,
            &self.settings,
            &self.closed,
            &self.tasks,
        ))
    }

    pub(crate) fn wake(&self) {
        self.outbox.wake();
    }

    pub(crate) async fn wakes(&self) -> Wakes {
        let wakes = Wakes::new(&self.hub);
        self.inbox.want(Topic::Wakes).await;
        wakes
    }

    pub(crate) fn stop(&self, stop: Stop) {
        self.outbox.stop(stop);
    }

    pub(crate) async fn stops(&self) -> Stops {
        let stops = Stops::new(&self.hub);
        self.inbox.want(Topic::Stops).await;
        stops
    }

    pub(crate) fn live(&self, live: &Live) {
        self.outbox.live(live);
    }

    pub(crate) async fn watch(&self, edit: EditId) -> Subscription {
        let (receiver, bound) = self.hub.watch(edit);
        let inbox = Arc::clone(&self.inbox);
        let watch = Subscription::new(edit, Arc::clone(&self.hub), receiver)
            .with_unbind(move |edit| inbox.unwatch(edit));
        if !bound {
            self.inbox.want(Topic::Edit(edit)).await;
        }
        watch
    }

    pub(crate) async fn depth(&self, model: &ModelName) -> Result<Vec<Depth>> {
        let mut depths = Vec::new();
        for class in Class::ALL {
            depths.push(self.depth_of(queue_name(model, class), Some(class)).await?);
        }
        Ok(depths)
    }

    pub(crate) async fn depth_dead(&self) -> Result<Depth> {
        self.depth_of(DEAD.to_owned(), None).await
    }

    async fn depth_of(&self, queue: String, class: Option<Class>) -> Result<Depth> {
        let session = self.publishing.session(self.settings.patience).await?;
        let found = topology::look(&session, &queue).await?;
        let (ready, consumers) = found.unwrap_or_default();
        Ok(Depth {
            queue,
            class,
            ready,
            consumers,
        })
    }

    pub(crate) async fn purge(&self, model: &ModelName) -> Result<u64> {
        let mut purged = 0;
        for class in Class::ALL {
            let queue = queue_name(model, class);
            let session = self.publishing.session(self.settings.patience).await?;
            if topology::look(&session, &queue).await?.is_none() {
                continue;
            }
            let channel = session.channel().await?;
            let name = queue.as_str().into();
            let purging = channel.queue_purge(name, QueuePurgeOptions::default());
            purged += u64::from(session.rpc(&queue, purging).await?);
        }
        Ok(purged)
    }

    pub(crate) async fn model_delete(&self, model: &ModelName) -> Result<()> {
        for class in Class::ALL {
            let queue = queue_name(model, class);
            let session = self.publishing.session(self.settings.patience).await?;
            let channel = session.channel().await?;
            // One that is not there is no error to RabbitMQ.
            let name = queue.as_str().into();
            let deleting = channel.queue_delete(name, QueueDeleteOptions::default());
            session.rpc(&queue, deleting).await?;
        }
        Ok(())
    }

    pub(crate) async fn check(&self, models: &[ModelName]) -> Report {
        doctor::check(&self.settings, &self.publishing, models).await
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.closed.cancel();
        self.hung_up.cancel();
    }
}
