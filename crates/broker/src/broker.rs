//! The one handle, on either twin.

use limekiln_jobs::{EditId, Epoch, Live, ModelName};

use crate::{Consumer, Depth, Hint, Report, Result, Settings, Stops, Wakes, Watch};

/// The broker. Cheap to clone; all clones are one connection.
#[derive(Debug, Clone)]
pub struct Broker;

impl Broker {
    /// Connects to RabbitMQ and declares exchanges and the dead-letter queue. From then on a lost connection is
    /// restored in the background, for ever, with backoff.
    ///
    /// # Errors
    /// When the first connection does not come about within `connect_timeout`.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let _ = settings;
        todo!()
    }

    /// The in-process twin. Nothing survives the process.
    #[must_use]
    pub fn local() -> Self {
        todo!()
    }

    /// Whether there is a connection now. Always true for the twin.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        todo!()
    }

    /// Closes the connection after what is under way, within a bounded time. Everything handed out ends.
    pub async fn close(&self) {
        todo!()
    }

    /// Publishes edits to the queues of their models and classes, all at once, and waits until each is confirmed.
    /// Results are in the order of the hints. A failed one may have got through all the same: announcing it again is harmless.
    pub async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        let _ = hints;
        todo!()
    }

    /// Takes edits of this model: at most `slots + 1` of each class at once.
    ///
    /// # Errors
    /// When its queues can't be declared: they exist with other properties, or access is denied. A lost connection
    /// is no error: taking starts when it is back.
    pub async fn consume(&self, model: &ModelName, slots: u16) -> Result<Consumer> {
        let _ = (model, slots);
        todo!()
    }

    /// Tells every coordinator that there may be something to release. Never waits; several within 5 ms are one.
    pub fn wake(&self) {
        todo!()
    }

    /// Wakes from now on.
    pub async fn wakes(&self) -> Wakes {
        todo!()
    }

    /// Tells the worker that runs the edit under this epoch to stop it. Never waits; lossy.
    pub fn stop(&self, edit: EditId, epoch: Epoch) {
        let _ = (edit, epoch);
        todo!()
    }

    /// Stops from now on, of all edits.
    pub async fn stops(&self) -> Stops {
        todo!()
    }

    /// Publishes live progress. Never waits: when too much is queued the oldest is dropped and counted.
    pub fn live(&self, live: &Live) {
        let _ = live;
        todo!()
    }

    /// Watches one edit. What is published after this returned is seen, or [`Seen::Lagged`](crate::Seen::Lagged) is:
    /// so first watch, then read Postgres. While the connection is down it returns at once, and `Lagged` comes when it is back.
    pub async fn watch(&self, edit: EditId) -> Watch {
        let _ = edit;
        todo!()
    }

    /// How full the two queues of a model are. Queues that don't exist yet are empty.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn depth(&self, model: &ModelName) -> Result<Vec<Depth>> {
        let _ = model;
        todo!()
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn depth_dead(&self) -> Result<Depth> {
        todo!()
    }

    /// Empties both queues of a model; how many messages that were. Nothing is lost: edits are announced again.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn purge(&self, model: &ModelName) -> Result<u64> {
        let _ = model;
        todo!()
    }

    /// Looks at the broker for `doctor`: version, permissions, the queues of these models, a message there and back.
    pub async fn check(&self, models: &[ModelName]) -> Report {
        let _ = models;
        todo!()
    }
}
