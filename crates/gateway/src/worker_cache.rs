//! The list of workers, read from Postgres every few seconds at most, and what they take on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use limekiln_jobs::ModelName;
use limekiln_jobs::api::{ModelLimits, Worker};
use limekiln_store::Store;
use tokio::sync::Mutex;

/// How old the list may be.
const AGE_MAX: Duration = Duration::from_secs(2);

pub(crate) struct WorkerCache {
    store: Store,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    read: Option<(Instant, Arc<[Worker]>)>,
    /// By model: what all its living workers take, or took when there were any. As many as there ever were models.
    limits: HashMap<ModelName, ModelLimits>,
}

impl WorkerCache {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            list: Mutex::default(),
        }
    }

    /// The workers that have not ended.
    pub(crate) async fn workers(&self) -> limekiln_store::Result<Arc<[Worker]>> {
        let mut list = self.list.lock().await;
        self.refreshed(&mut list).await
    }

    /// What edits of this model may ask for. None where no worker has ever said so.
    pub(crate) async fn limits(
        &self,
        model: &ModelName,
    ) -> limekiln_store::Result<Option<ModelLimits>> {
        let mut list = self.list.lock().await;
        self.refreshed(&mut list).await?;
        Ok(list.limits.get(model).copied())
    }

    async fn refreshed(&self, list: &mut List) -> limekiln_store::Result<Arc<[Worker]>> {
        if let Some((read, workers)) = &list.read
            && read.elapsed() < AGE_MAX
        {
            return Ok(workers.clone());
        }
        let workers: Arc<[Worker]> = self.store.worker_list().await?.into();
        list.limits.extend(limits(&workers));
        list.read = Some((Instant::now(), workers.clone()));
        Ok(workers)
    }

    /// Whether a living worker holds this model.
    pub(crate) async fn holds(&self, model: &ModelName) -> limekiln_store::Result<bool> {
        let workers = self.workers().await?;
        Ok(workers
            .iter()
            .any(|worker| worker.alive && worker.models.contains(model)))
    }
}

/// By model, what every living worker takes that says so: whichever claims an edit can do it.
fn limits(workers: &[Worker]) -> HashMap<ModelName, ModelLimits> {
    let mut by_model: HashMap<ModelName, ModelLimits> = HashMap::new();
    for worker in workers.iter().filter(|worker| worker.alive) {
        for (model, limits) in &worker.limits {
            by_model
                .entry(model.clone())
                .and_modify(|least| *least = least.least(*limits))
                .or_insert(*limits);
        }
    }
    by_model
}
