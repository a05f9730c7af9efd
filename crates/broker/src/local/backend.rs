//! The operations of the broker, in process.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use limekiln_jobs::{Class, Live, ModelName};
use tokio_util::sync::CancellationToken;

use super::consumer::Consumer;
use super::dead_letters::DeadLetters;
use super::model_queues::ModelQueues;
use crate::hub::Hub;
use crate::queue::{DEAD, DEAD_LIMIT, queue_name};
use crate::{
    Depth, Error, Finding, Followed, HealthReport, Hint, Result, Stop, Stops, Subscription, Wakes,
};

/// The queues, and the hub through which everything else goes.
#[derive(Debug)]
pub(crate) struct Local {
    models: Mutex<HashMap<ModelName, Arc<ModelQueues>>>,
    dead_letters: Arc<DeadLetters>,
    hub: Arc<Hub>,
}

impl Local {
    pub(crate) fn new() -> Self {
        Self {
            models: Mutex::default(),
            dead_letters: Arc::default(),
            hub: Arc::new(Hub::new(CancellationToken::new())),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.hub.closed().is_cancelled()
    }

    pub(crate) async fn close(&self) {
        self.hub.closed().cancel();
    }

    pub(crate) async fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        hints.iter().map(|hint| self.announce_one(hint)).collect()
    }

    fn announce_one(&self, hint: &Hint) -> Result<()> {
        self.check_open()?;
        self.queues(&hint.model).push(hint.clone())
    }

    pub(crate) fn consume(&self, model: &ModelName, slots: u16) -> Result<Consumer> {
        self.check_open()?;
        let closed = self.hub.closed().clone();
        let prefetch = usize::from(slots) + 1;
        Ok(Consumer::new(self.queues(model), prefetch, closed))
    }

    pub(crate) fn wake(&self) {
        self.hub.wake();
    }

    pub(crate) async fn wakes(&self) -> Wakes {
        Wakes::new(&self.hub)
    }

    pub(crate) fn stop(&self, stop: Stop) {
        self.hub.stop(stop);
    }

    pub(crate) async fn stops(&self) -> Stops {
        Stops::new(&self.hub)
    }

    pub(crate) fn publish_live(&self, live: &Live) {
        // Previews are large: they are copied only for somebody.
        let followed: Vec<_> = Followed::of(live)
            .filter(|followed| self.hub.is_subscribed(*followed))
            .collect();
        if !followed.is_empty() {
            let live = Arc::new(live.clone());
            for followed in followed {
                self.hub.live(followed, Arc::clone(&live));
            }
        }
    }

    pub(crate) async fn subscribe(&self, followed: Followed) -> Subscription {
        let (receiver, _) = self.hub.subscribe(followed);
        Subscription::new(followed, Arc::clone(&self.hub), receiver, |_| {})
    }

    pub(crate) async fn depth(&self, model: &ModelName) -> Result<Vec<Depth>> {
        let queues = self.queues(model);
        let depth = |class| Depth {
            queue: queue_name(model, class),
            class: Some(class),
            ready: queues.lock()[class].len() as u64,
            consumers: queues.consumers.load(Ordering::Relaxed) as u64,
        };
        Ok(Class::ALL.map(depth).into())
    }

    pub(crate) async fn depth_dead(&self) -> Result<Depth> {
        Ok(Depth {
            queue: DEAD.to_owned(),
            class: None,
            ready: self.dead_letters.len() as u64,
            consumers: 0,
        })
    }

    pub(crate) async fn purge(&self, model: &ModelName) -> Result<u64> {
        Ok(self.queues(model).purge() as u64)
    }

    pub(crate) async fn model_delete(&self, model: &ModelName) -> Result<()> {
        self.queues(model).purge();
        Ok(())
    }

    /// Looks at the dead letters, the one thing that can go wrong in process.
    pub(crate) async fn check(&self, _models: &[ModelName]) -> HealthReport {
        let (dead, limit) = (self.dead_letters.len(), DEAD_LIMIT as usize);
        let finding = match dead < limit / 2 {
            true => Finding::fine,
            false => Finding::warning,
        };
        HealthReport {
            server: "in process".to_owned(),
            findings: vec![finding(
                "dead letters",
                format!("{dead}, of at most {limit}"),
            )],
        }
    }

    fn check_open(&self) -> Result<()> {
        match self.is_connected() {
            true => Ok(()),
            false => Err(Error::Closed),
        }
    }

    fn queues(&self, model: &ModelName) -> Arc<ModelQueues> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queues) = models.get(model) {
            return Arc::clone(queues);
        }
        let queues = ModelQueues::new(model.clone(), Arc::clone(&self.dead_letters));
        Arc::clone(models.entry(model.clone()).or_insert(Arc::new(queues)))
    }
}
