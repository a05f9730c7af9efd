//! The list of workers, read from Postgres every few seconds at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use limekiln_jobs::ModelName;
use limekiln_jobs::api::Worker;
use limekiln_store::Store;
use tokio::sync::Mutex;

/// How old the list may be.
const AGE_MAX: Duration = Duration::from_secs(2);

pub(crate) struct WorkerCache {
    store: Store,
    list: Mutex<Option<(Instant, Arc<[Worker]>)>>,
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
        match &*list {
            Some((read, workers)) if read.elapsed() < AGE_MAX => Ok(workers.clone()),
            _ => {
                let workers: Arc<[Worker]> = self.store.worker_list().await?.into();
                *list = Some((Instant::now(), workers.clone()));
                Ok(workers)
            }
        }
    }

    /// Whether a living worker holds this model.
    pub(crate) async fn holds(&self, model: &ModelName) -> limekiln_store::Result<bool> {
        let workers = self.workers().await?;
        Ok(workers
            .iter()
            .any(|worker| worker.alive && worker.models.contains(model)))
    }
}
