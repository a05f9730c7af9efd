//! The one handle, on either twin.

use std::sync::Arc;

use limekiln_jobs::{EditId, Epoch, Live, ModelName};

use crate::consumer::Taker;
use crate::local::Local;
use crate::rabbit::Rabbit;
use crate::{Consumer, Depth, Hint, Report, Result, Settings, Stop, Stops, Subscription, Wakes};

/// The broker. Cheap to clone; all clones share their connections, and the last one dropped closes them.
#[derive(Debug, Clone)]
pub struct Broker(Twin);

#[derive(Debug, Clone)]
enum Twin {
    Local(Arc<Local>),
    Rabbit(Arc<Rabbit>),
}

impl Broker {
    /// Connects to RabbitMQ and declares exchanges and the dead-letter queue. From then on a lost connection is
    /// restored in the background, for ever, with backoff.
    ///
    /// # Errors
    /// When the first connection does not come about within `connect_timeout`.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        Ok(Self(Twin::Rabbit(Arc::new(
            Rabbit::connect(settings).await?,
        ))))
    }

    /// The in-process twin. Nothing survives the process.
    #[must_use]
    pub fn local() -> Self {
        Self(Twin::Local(Arc::new(Local::new())))
    }

    /// Whether there is a connection now. True for the twin until it is closed.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match &self.0 {
            Twin::Local(local) => !local.hub().closed().is_cancelled(),
            Twin::Rabbit(rabbit) => rabbit.is_connected(),
        }
    }

    /// Closes the connections after what is under way, within a bounded time. Everything handed out ends.
    pub async fn close(&self) {
        match &self.0 {
            Twin::Local(local) => local.hub().closed().cancel(),
            Twin::Rabbit(rabbit) => rabbit.close().await,
        }
    }

    /// Publishes edits to the queues of their models and classes, all at once, and waits until each is confirmed.
    /// Results are in the order of the hints. A failed one may have got through all the same: announcing it again is harmless.
    pub async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        match &self.0 {
            Twin::Local(local) => local.announce(hints),
            Twin::Rabbit(rabbit) => rabbit.announce(hints).await,
        }
    }

    /// Takes edits of this model: at most `slots + 1` of each class at once.
    ///
    /// # Errors
    /// When its queues can't be declared: they exist with other properties, or access is denied. A lost connection
    /// is no error: taking starts when it is back.
    pub async fn consume(&self, model: &ModelName, slots: u16) -> Result<Consumer> {
        Ok(Consumer(match &self.0 {
            Twin::Local(local) => Taker::Local(local.consume(model, slots)?),
            Twin::Rabbit(rabbit) => Taker::Rabbit(rabbit.consume(model, slots).await?),
        }))
    }

    /// Tells every coordinator that there may be something to release. Never waits; several within 5 ms are one.
    pub fn wake(&self) {
        match &self.0 {
            Twin::Local(local) => local.wake(),
            Twin::Rabbit(rabbit) => rabbit.wake(),
        }
    }

    /// Wakes from now on.
    pub async fn wakes(&self) -> Wakes {
        match &self.0 {
            Twin::Local(local) => Wakes::new(local.hub()),
            Twin::Rabbit(rabbit) => rabbit.wakes().await,
        }
    }

    /// Tells the worker that runs the edit under this epoch to stop it. Never waits; lossy.
    pub fn stop(&self, edit: EditId, epoch: Epoch) {
        let stop = Stop { edit, epoch };
        match &self.0 {
            Twin::Local(local) => local.stop(stop),
            Twin::Rabbit(rabbit) => rabbit.stop(stop),
        }
    }

    /// Stops from now on, of all edits.
    pub async fn stops(&self) -> Stops {
        match &self.0 {
            Twin::Local(local) => Stops::new(local.hub()),
            Twin::Rabbit(rabbit) => rabbit.stops().await,
        }
    }

    /// Publishes live progress. Never waits: when too much is queued the oldest is dropped and counted.
    pub fn publish_live(&self, live: &Live) {
        match &self.0 {
            Twin::Local(local) => local.live(live),
            Twin::Rabbit(rabbit) => rabbit.live(live),
        }
    }

    /// Watches one edit. What is published after this returned is seen, or [`Update::Lagged`](crate::Update::Lagged) is:
    /// so first watch, then read Postgres. While the connection is down it returns at once, and `Lagged` comes when it is back.
    pub async fn subscribe(&self, edit: EditId) -> Subscription {
        match &self.0 {
            Twin::Local(local) => local.watch(edit),
            Twin::Rabbit(rabbit) => rabbit.watch(edit).await,
        }
    }

    /// How full the two queues of a model are. Queues that don't exist yet are empty.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn depth(&self, model: &ModelName) -> Result<Vec<Depth>> {
        match &self.0 {
            Twin::Local(local) => Ok(local.depth(model)),
            Twin::Rabbit(rabbit) => rabbit.depth(model).await,
        }
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn depth_dead(&self) -> Result<Depth> {
        match &self.0 {
            Twin::Local(local) => Ok(local.depth_dead()),
            Twin::Rabbit(rabbit) => rabbit.depth_dead().await,
        }
    }

    /// Empties both queues of a model; how many messages that were. Nothing is lost: edits are announced again.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn purge(&self, model: &ModelName) -> Result<u64> {
        match &self.0 {
            Twin::Local(local) => Ok(local.purge(model)),
            Twin::Rabbit(rabbit) => rabbit.purge(model).await,
        }
    }

    /// Deletes both queues of a model that is served no more, with what is in them.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn model_delete(&self, model: &ModelName) -> Result<()> {
        match &self.0 {
            Twin::Local(local) => {
                local.purge(model);
                Ok(())
            }
            Twin::Rabbit(rabbit) => rabbit.model_delete(model).await,
        }
    }

    /// Looks at the broker for `doctor`: version, permissions, the queues of these models, a message there and back.
    pub async fn check(&self, models: &[ModelName]) -> Report {
        match &self.0 {
            Twin::Local(local) => local.check(),
            Twin::Rabbit(rabbit) => rabbit.check(models).await,
        }
    }
}
