//! Depths, ages and windows, read from Postgres. Every coordinator shows them all: take the maximum, not the sum. The table is in `lib.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use limekiln_jobs::ModelName;
use limekiln_jobs::api::Worker;
use limekiln_store::Store;

use crate::Error;
use crate::control_loop::{ControlLoop, Next};

/// The loop that reads and exports the gauges.
pub(crate) struct Gauges {
    pub(crate) store: Store,
    pub(crate) every: Duration,
    pub(crate) min_window: u32,
    /// Queues and models shown before: when there is nothing left of one it shows 0, not its last value.
    pub(crate) queues: BTreeSet<(String, &'static str)>,
    pub(crate) models: BTreeSet<ModelName>,
}

impl Gauges {
    async fn queues(&mut self) -> Result<(), Error> {
        let counts = self.store.queue_counts().await?;
        let mut gone = self.queues.clone();
        for count in counts {
            let queue = (count.model.to_string(), count.class.as_str());
            gone.remove(&queue);
            show(
                &queue,
                [count.waiting, count.queued, count.announced, count.running],
            );
            ages(&queue, count.oldest_queued_s, count.lease_overdue_s);
            unable(&queue, count.unable);
            self.models.insert(count.model);
            self.queues.insert(queue);
        }
        for queue in gone {
            show(&queue, [0; 4]);
            ages(&queue, 0.0, 0.0);
            unable(&queue, 0);
        }
        Ok(())
    }

    async fn fleet(&mut self) -> Result<(), Error> {
        let workers = self.store.worker_list().await?;
        let alive = || workers.iter().filter(|worker| worker.alive);
        let slots = slots(alive());
        self.models.extend(slots.keys().cloned());
        for model in &self.models {
            let slots = slots.get(model).copied().unwrap_or(0);
            metrics::gauge!("limekiln_fleet_slots", "model" => model.to_string()).set(slots as f64);
            let window = (2 * slots).max(u64::from(self.min_window));
            metrics::gauge!("limekiln_window_edits", "model" => model.to_string())
                .set(window as f64);
        }
        let busy: u64 = alive().map(|worker| u64::from(worker.busy)).sum();
        metrics::gauge!("limekiln_fleet_busy_slots").set(busy as f64);
        let draining = alive().filter(|worker| worker.draining).count();
        let counts = [
            ("alive", alive().count() - draining),
            ("draining", draining),
            ("dead", workers.len() - alive().count()),
        ];
        for (state, count) in counts {
            metrics::gauge!("limekiln_fleet_workers", "state" => state).set(count as f64);
        }
        let overdue_s = self.store.webhooks_overdue_s().await?;
        metrics::gauge!("limekiln_webhooks_overdue_seconds").set(overdue_s);
        let paused = self.store.fleet_paused().await?;
        metrics::gauge!("limekiln_fleet_paused").set(if paused { 1.0 } else { 0.0 });
        let age = self.store.blob_deletions_age().await?;
        metrics::gauge!("limekiln_deletions_oldest_seconds").set(age.as_secs_f64());
        Ok(())
    }
}

impl ControlLoop for Gauges {
    const NAME: &'static str = "gauges";

    async fn round(&mut self) -> Result<Next, Error> {
        self.queues().await?;
        self.fleet().await?;
        Ok(Next::After(self.every))
    }
}

/// Slots by model of workers that take edits.
fn slots<'a>(workers: impl Iterator<Item = &'a Worker>) -> BTreeMap<ModelName, u64> {
    let mut slots = BTreeMap::new();
    for worker in workers.filter(|worker| !worker.draining) {
        for model in &worker.models {
            *slots.entry(model.clone()).or_default() += u64::from(worker.slots);
        }
    }
    slots
}

fn show((model, class): &(String, &'static str), counts: [u64; 4]) {
    for (state, count) in ["waiting", "queued", "announced", "running"]
        .into_iter()
        .zip(counts)
    {
        metrics::gauge!("limekiln_queue_edits", "model" => model.clone(), "class" => *class, "state" => state).set(count as f64);
    }
}

fn unable((model, class): &(String, &'static str), count: u64) {
    metrics::gauge!("limekiln_queue_unable_edits", "model" => model.clone(), "class" => *class)
        .set(count as f64);
}

fn ages((model, class): &(String, &'static str), oldest_s: f64, overdue_s: f64) {
    metrics::gauge!("limekiln_queue_oldest_seconds", "model" => model.clone(), "class" => *class)
        .set(oldest_s);
    metrics::gauge!("limekiln_lease_overdue_seconds", "model" => model.clone(), "class" => *class)
        .set(overdue_s);
}
