//! The operations of the broker, in process.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limekiln_jobs::{Class, Live, ModelName, WorkerId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::consumer::Consumer;
use super::dead_letters::DeadLetters;
use super::model_queues::ModelQueues;
use crate::hub::Hub;
use crate::queue::{DEAD, DEAD_LIMIT, Queue};
use crate::{
    Depth, Error, Finding, Followed, HealthReport, Hint, Offers, Result, Stop, Stops, Subscription,
    Wakes,
};

/// By model and cohort.
type Models = HashMap<(ModelName, Option<String>), Arc<ModelQueues>>;

/// The queues, and the hub through which everything else goes.
#[derive(Debug)]
pub(crate) struct Local {
    models: Mutex<Models>,
    /// Notified when a consumer may be able to take what it could not take before.
    changed: Arc<Notify>,
    dead_letters: Arc<DeadLetters>,
    hub: Arc<Hub>,
}

impl Local {
    pub(crate) fn new() -> Self {
        Self {
            models: Mutex::default(),
            changed: Arc::default(),
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
        self.queues(&hint.model, hint.cohort.as_deref())
            .push(hint.clone())
    }

    pub(crate) fn consume(
        &self,
        models: &[ModelName],
        cohort: Option<&str>,
        slots: usize,
    ) -> Result<Consumer> {
        self.check_open()?;
        let closed = self.hub.closed().clone();
        let cohorts = || cohort.map(Some).into_iter().chain([None]);
        let queues = models
            .iter()
            .flat_map(|model| cohorts().map(|cohort| self.queues(model, cohort)));
        Ok(Consumer::new(
            queues.collect(),
            slots,
            Arc::clone(&self.changed),
            closed,
        ))
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

    pub(crate) fn offer(&self, worker: WorkerId, hint: &Hint) {
        self.hub.offer(worker, hint.clone());
    }

    pub(crate) async fn offers(&self, worker: WorkerId) -> Offers {
        Offers::new(&self.hub, worker)
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
        let queues = self.queues(model, None);
        let depth = |class| Depth {
            queue: Queue::new(model, class, None).name,
            class: Some(class),
            ready: queues.lock()[class].len() as u64,
            consumers: queues.consumers.load(Ordering::Relaxed) as u64,
        };
        Ok(Class::ALL.map(depth).into())
    }

    pub(crate) async fn waiting(&self, queue: Queue) -> Result<u64> {
        let models = self.lock();
        let all = models.values().flat_map(|queues| {
            let lengths = queues.lock();
            Class::ALL.map(|class| (queues.queue(class), lengths[class].len() as u64))
        });
        let waiting = all.filter(|(of, _)| *of == queue).map(|(_, length)| length);
        Ok(waiting.sum())
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
        let models = self.lock();
        let of_model = models.iter().filter(|((of, _), _)| of == model);
        Ok(of_model.map(|(_, queues)| queues.purge() as u64).sum())
    }

    pub(crate) async fn model_delete(&self, model: &ModelName) -> Result<()> {
        self.purge(model).await.map(drop)
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

    fn queues(&self, model: &ModelName, cohort: Option<&str>) -> Arc<ModelQueues> {
        let mut models = self.lock();
        let queues = models
            .entry((model.clone(), cohort.map(str::to_owned)))
            .or_insert_with(|| {
                Arc::new(ModelQueues::new(
                    model.clone(),
                    cohort.map(str::to_owned),
                    Arc::clone(&self.dead_letters),
                    Arc::clone(&self.changed),
                ))
            });
        Arc::clone(queues)
    }

    fn lock(&self) -> MutexGuard<'_, Models> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
