//! The handle to the broker, on either backend.

use std::sync::Arc;

use limekiln_jobs::{Class, EditId, Epoch, Live, ModelName, WorkerId};

use crate::backend::{Backend, dispatch};
use crate::local::Local;
use crate::message::Run;
use crate::queue::Queue;
use crate::rabbit::Rabbit;
use crate::{
    Consumer, Depth, Followed, HealthReport, Hint, Offers, Result, Settings, Stop, Stops,
    Subscription, Wakes,
};

/// The broker. It is cheap to clone. All clones share their connections, which close when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Broker(Backend<Arc<Local>, Arc<Rabbit>>);

impl Broker {
    /// Connects to RabbitMQ, and declares the exchanges and the dead-letter queue. From then on a lost connection is
    /// restored in the background, for ever, with backoff.
    ///
    /// # Errors
    /// When the first connection is not made within `connect_timeout`; with `in_background` only when RabbitMQ refuses it.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let rabbit = Rabbit::connect(settings).await?;
        Ok(Self(Backend::Rabbit(Arc::new(rabbit))))
    }

    /// A broker within this process. Nothing in it survives the process.
    #[must_use]
    pub fn local() -> Self {
        Self(Backend::Local(Arc::new(Local::new())))
    }

    /// Whether there is a connection now. The in-process broker is connected until it is closed.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        dispatch!(&self.0, backend => backend.is_connected())
    }

    /// Why RabbitMQ takes no messages now, in its words, if it takes none: it lacks memory or disk space.
    #[must_use]
    pub fn blocked(&self) -> Option<String> {
        match &self.0 {
            Backend::Local(_) => None,
            Backend::Rabbit(rabbit) => rabbit.blocked(),
        }
    }

    /// Finishes what is under way, within a bounded time, and closes the connections. Consumers, subscriptions and
    /// signals that were handed out end.
    pub async fn close(&self) {
        dispatch!(&self.0, backend => backend.close().await);
    }

    /// Publishes edits to the queues of their models and classes, all at once, and waits until each is confirmed.
    /// Results are in the order of the hints. One that failed may have been published all the same: announcing it
    /// again is harmless.
    pub async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        let results = dispatch!(&self.0, backend => backend.announce(hints).await);
        let failed = results.iter().filter(|result| result.is_err()).count();
        metrics::counter!("limekiln_broker_announce_failures_total").increment(failed as u64);
        metrics::counter!("limekiln_broker_announced_total")
            .increment((results.len() - failed) as u64);
        results
    }

    /// Consumes the edits of these models, those that are for all workers and those that are for this cohort, as many at once
    /// as there are slots.
    ///
    /// # Errors
    /// When a model's queues can't be declared, because they exist with other properties or because access is
    /// denied. A lost connection is no error: deliveries begin when it is back.
    pub async fn consume(
        &self,
        models: &[ModelName],
        cohort: Option<&str>,
        slots: u32,
    ) -> Result<Consumer> {
        let slots = slots as usize;
        Ok(Consumer(match &self.0 {
            Backend::Local(local) => Backend::Local(local.consume(models, cohort, slots)?),
            Backend::Rabbit(rabbit) => {
                Backend::Rabbit(rabbit.consume(models, cohort, slots).await?)
            }
        }))
    }

    /// Tells every coordinator that there may be something to release. Never waits. Wakes within 5 ms become one.
    pub fn wake(&self) {
        dispatch!(&self.0, backend => backend.wake());
    }

    /// Receives the wakes that are sent from now on.
    pub async fn wakes(&self) -> Wakes {
        dispatch!(&self.0, backend => backend.wakes().await)
    }

    /// Tells the worker that runs the edit under this epoch to stop it. Never waits. The message may get lost.
    pub fn stop(&self, edit: EditId, epoch: Epoch) {
        dispatch!(&self.0, backend => backend.stop(Stop::End(Run { edit, epoch })));
    }

    /// Asks the worker that runs the edit under this epoch to give its slot to another at the next step, by a checkpoint.
    /// Never waits. The message may get lost.
    pub fn step_aside(&self, edit: EditId, epoch: Epoch) {
        let step_aside = Run { edit, epoch };
        dispatch!(&self.0, backend => backend.stop(Stop::Aside { step_aside }));
    }

    /// Receives the stops of all edits that are sent from now on.
    pub async fn stops(&self) -> Stops {
        dispatch!(&self.0, backend => backend.stops().await)
    }

    /// Offers an edit to one worker before it is announced to all. Never waits. The offer may get lost, and a worker without a
    /// free slot lets it pass: announce what is not claimed soon.
    pub fn offer(&self, worker: WorkerId, hint: &Hint) {
        dispatch!(&self.0, backend => backend.offer(worker, hint));
    }

    /// Receives what is offered to this worker from now on, for [`Consumer::offer`].
    pub async fn offers(&self, worker: WorkerId) -> Offers {
        dispatch!(&self.0, backend => backend.offers(worker).await)
    }

    /// Publishes live progress. Never waits: when too many messages wait, the oldest is dropped and counted.
    pub fn publish_live(&self, live: &Live) {
        dispatch!(&self.0, backend => backend.publish_live(live));
    }

    /// Subscribes to the live progress of one edit, or of all turns of a session. Whatever is published after this returned is received, or
    /// [`Update::Lagged`](crate::Update::Lagged) is: so subscribe first, then read Postgres. While the connection is
    /// down this returns at once, and `Lagged` is received when the connection is back.
    pub async fn subscribe(&self, followed: impl Into<Followed>) -> Subscription {
        let followed = followed.into();
        dispatch!(&self.0, backend => backend.subscribe(followed).await)
    }

    /// How full the queues of a model are. Queues that don't exist yet are empty.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn depth(&self, model: &ModelName) -> Result<Vec<Depth>> {
        dispatch!(&self.0, backend => backend.depth(model).await)
    }

    /// How many messages wait in one queue: of this model and class, for all workers or for those of a cohort.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn waiting(
        &self,
        model: &ModelName,
        class: Class,
        cohort: Option<&str>,
    ) -> Result<u64> {
        let queue = Queue::new(model, class, cohort);
        dispatch!(&self.0, backend => backend.waiting(queue).await)
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn depth_dead(&self) -> Result<Depth> {
        dispatch!(&self.0, backend => backend.depth_dead().await)
    }

    /// Empties the queues of a model and returns how many messages were in them. Nothing is lost, since edits are
    /// announced again.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn purge(&self, model: &ModelName) -> Result<u64> {
        dispatch!(&self.0, backend => backend.purge(model).await)
    }

    /// Deletes the queues of a model that is no longer served, with what is in them.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn model_delete(&self, model: &ModelName) -> Result<()> {
        dispatch!(&self.0, backend => backend.model_delete(model).await)
    }

    /// Checks the broker for `doctor`: version, permissions, the queues of these models, a message there and back.
    pub async fn check(&self, models: &[ModelName]) -> HealthReport {
        dispatch!(&self.0, backend => backend.check(models).await)
    }
}
