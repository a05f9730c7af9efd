//! The operations of the broker, on RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use limekiln_jobs::{Class, Live, ModelName, Retryable, WorkerId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bindings::Topic;
use super::broadcaster::Broadcaster;
use super::consumer::Consumer;
use super::link::Link;
use super::listener::Listener;
use super::publisher::Publisher;
use super::session::Session;
use super::{check, topology};
use crate::hub::Hub;
use crate::queue::{DEAD, Queue};
use crate::{
    Depth, Error, Followed, HealthReport, Hint, Offers, Result, Settings, Stop, Stops,
    Subscription, Wakes,
};

/// How long `close` waits for the tasks, and then for the connections.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections to RabbitMQ and the tasks that use them.
#[derive(Debug)]
pub(crate) struct Rabbit {
    settings: Settings,
    publishing: Link,
    consuming: Link,
    publisher: Publisher,
    broadcaster: Arc<Broadcaster>,
    listener: Arc<Listener>,
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
        // If a later step fails, the tasks and connections of the earlier ones have to end.
        let guards = [closed.clone().drop_guard(), hung_up.clone().drop_guard()];
        let links = TaskTracker::new();
        let publishing = Link::open("publish", settings, hung_up.clone(), &links).await?;
        let consuming = Link::open("consume", settings, hung_up.clone(), &links).await?;

        let tasks = TaskTracker::new();
        let hub = Arc::new(Hub::new(closed.clone()));
        let publisher = Publisher::new(publishing.clone(), settings, closed.clone(), &tasks);
        let broadcaster = Broadcaster::spawn(publishing.clone(), closed.clone(), &tasks);
        let listener =
            Listener::spawn(consuming.clone(), Arc::clone(&hub), settings, &tasks).await?;
        for guard in guards {
            guard.disarm();
        }
        Ok(Self {
            settings: settings.clone(),
            publishing,
            consuming,
            publisher,
            broadcaster,
            listener,
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

    pub(crate) fn blocked(&self) -> Option<String> {
        self.publishing.blocked()
    }

    pub(crate) async fn close(&self) {
        self.closed.cancel();
        if !finish(&self.tasks).await {
            tracing::warn!("broker tasks did not end in time; messages under way may come again");
        }
        self.hung_up.cancel();
        if !finish(&self.links).await {
            tracing::warn!("rabbitmq did not confirm the end of the connection");
        }
    }

    pub(crate) async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        self.publisher.announce(hints).await
    }

    pub(crate) async fn consume(
        &self,
        models: &[ModelName],
        cohort: Option<&str>,
        slots: usize,
    ) -> Result<Consumer> {
        if self.closed.is_cancelled() {
            return Err(Error::Closed);
        }
        let queues = Class::ALL.map(|class| {
            let of_model = |model| {
                let all = Queue::new(model, class, None);
                cohort
                    .map(|cohort| Queue::new(model, class, Some(cohort)))
                    .into_iter()
                    .chain([all])
            };
            (class, models.iter().flat_map(of_model).collect::<Vec<_>>())
        });
        match self
            .declare(queues.iter().flat_map(|(_, queues)| queues))
            .await
        {
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) => tracing::warn!(?models, %error, "taking edits once rabbitmq is back"),
            Ok(()) => {}
        }
        Ok(Consumer::spawn(
            &self.consuming,
            queues.into(),
            slots,
            &self.settings,
            &self.closed,
            &self.tasks,
        ))
    }

    async fn declare(&self, queues: impl Iterator<Item = &Queue>) -> Result<()> {
        let session = self
            .consuming
            .session(self.settings.reconnect_timeout)
            .await?;
        for queue in queues {
            topology::declare_queue(&session, queue).await?;
        }
        Ok(())
    }

    pub(crate) fn wake(&self) {
        self.broadcaster.wake();
    }

    pub(crate) async fn wakes(&self) -> Wakes {
        let wakes = Wakes::new(&self.hub);
        self.listener.listen(Topic::Wakes).await;
        wakes
    }

    pub(crate) fn stop(&self, stop: Stop) {
        self.broadcaster.stop(stop);
    }

    pub(crate) async fn stops(&self) -> Stops {
        let stops = Stops::new(&self.hub);
        self.listener.listen(Topic::Stops).await;
        stops
    }

    pub(crate) fn offer(&self, worker: WorkerId, hint: &Hint) {
        self.broadcaster.offer(worker, hint);
    }

    pub(crate) async fn offers(&self, worker: WorkerId) -> Offers {
        let offers = Offers::new(&self.hub, worker);
        self.listener.listen(Topic::Offers(worker)).await;
        offers
    }

    pub(crate) fn publish_live(&self, live: &Live) {
        self.broadcaster.live(live);
    }

    pub(crate) async fn subscribe(&self, followed: Followed) -> Subscription {
        let (receiver, bound) = self.hub.subscribe(followed);
        let listener = Arc::clone(&self.listener);
        let unbind = move |followed| listener.unlisten(followed);
        let subscription = Subscription::new(followed, Arc::clone(&self.hub), receiver, unbind);
        if !bound {
            self.listener.listen(Topic::Live(followed)).await;
        }
        subscription
    }

    pub(crate) async fn depth(&self, model: &ModelName) -> Result<Vec<Depth>> {
        let mut depths = Vec::new();
        for class in Class::ALL {
            let queue = Queue::new(model, class, None);
            depths.push(self.depth_of(queue.name, Some(class)).await?);
        }
        Ok(depths)
    }

    pub(crate) async fn waiting(&self, queue: Queue) -> Result<u64> {
        Ok(self.depth_of(queue.name, None).await?.ready)
    }

    pub(crate) async fn depth_dead(&self) -> Result<Depth> {
        self.depth_of(DEAD.to_owned(), None).await
    }

    async fn depth_of(&self, queue: String, class: Option<Class>) -> Result<Depth> {
        let session = self.session().await?;
        let found = topology::inspect_queue(&session, &queue).await?;
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
            let queue = Queue::new(model, class, None).name;
            let session = self.session().await?;
            if topology::inspect_queue(&session, &queue).await?.is_some() {
                purged += topology::purge_queue(&session, &queue).await?;
            }
        }
        Ok(purged)
    }

    pub(crate) async fn model_delete(&self, model: &ModelName) -> Result<()> {
        for class in Class::ALL {
            let session = self.session().await?;
            let limit = self.settings.confirm_timeout;
            topology::delete_queue(&session, &Queue::new(model, class, None).name, limit).await?;
        }
        Ok(())
    }

    /// The session on which administration runs.
    async fn session(&self) -> Result<Arc<Session>> {
        self.publishing
            .session(self.settings.reconnect_timeout)
            .await
    }

    pub(crate) async fn check(&self, models: &[ModelName]) -> HealthReport {
        check::check(&self.settings, &self.publishing, models).await
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.closed.cancel();
        self.hung_up.cancel();
    }
}

/// Waits for tasks to end, for a bounded time. Returns whether they did.
async fn finish(tasks: &TaskTracker) -> bool {
    tasks.close();
    tokio::time::timeout(CLOSE_TIMEOUT, tasks.wait())
        .await
        .is_ok()
}
