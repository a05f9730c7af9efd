//! Where signals and progress fan out within the process: the receiving half of both twins.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use limekiln_jobs::{EditId, Live};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::{Stop, Update};

/// Live messages a watcher may lag behind before it is told to read Postgres again.
const LIVE_LAG: usize = 64;
/// Stops a worker may lag behind.
const STOPS_LAG: usize = 1024;

/// Fans out to every handle of this process.
#[derive(Debug)]
pub(crate) struct Hub {
    watched: Mutex<HashMap<EditId, Watched>>,
    wakes: watch::Sender<u64>,
    stops: broadcast::Sender<Stop>,
    closed: CancellationToken,
}

#[derive(Debug)]
struct Watched {
    sender: broadcast::Sender<Update>,
    /// Whether messages about it reach this process.
    bound: bool,
}

impl Hub {
    pub(crate) fn new(closed: CancellationToken) -> Self {
        Self {
            watched: Mutex::default(),
            wakes: watch::Sender::new(0),
            stops: broadcast::Sender::new(STOPS_LAG),
            closed,
        }
    }

    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    pub(crate) fn wake(&self) {
        self.wakes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn wakes(&self) -> watch::Receiver<u64> {
        self.wakes.subscribe()
    }

    pub(crate) fn stop(&self, stop: Stop) {
        // Nobody listening is no fault: this process may run no worker.
        let _ = self.stops.send(stop);
    }

    pub(crate) fn stops(&self) -> broadcast::Receiver<Stop> {
        self.stops.subscribe()
    }

    /// A receiver for one edit, and whether messages about it already reach this process.
    pub(crate) fn watch(&self, edit: EditId) -> (broadcast::Receiver<Update>, bool) {
        let mut all = self.lock();
        let watched = all.entry(edit).or_insert_with(|| Watched {
            sender: broadcast::Sender::new(LIVE_LAG),
            bound: false,
        });
        let found = (watched.sender.subscribe(), watched.bound);
        gauge(&all);
        found
    }

    /// Forgets an edit that nobody watches any more; whether it did.
    pub(crate) fn unwatch(&self, edit: EditId) -> bool {
        let mut all = self.lock();
        let last = all
            .get(&edit)
            .is_some_and(|watched| watched.sender.receiver_count() == 0);
        if last {
            all.remove(&edit);
            gauge(&all);
        }
        last
    }

    pub(crate) fn is_watched(&self, edit: EditId) -> bool {
        self.lock().contains_key(&edit)
    }

    pub(crate) fn watched(&self) -> Vec<EditId> {
        self.lock().keys().copied().collect()
    }

    pub(crate) fn bound(&self, edit: EditId) {
        if let Some(watched) = self.lock().get_mut(&edit) {
            watched.bound = true;
        }
    }

    /// Messages no longer reach this process.
    pub(crate) fn unbound_all(&self) {
        self.lock()
            .values_mut()
            .for_each(|watched| watched.bound = false);
    }

    pub(crate) fn live(&self, live: Live) {
        if let Some(watched) = self.lock().get(&live.edit()) {
            // The last watcher may be leaving at this moment.
            let _ = watched.sender.send(Update::Live(Arc::new(live)));
        }
    }

    /// Tells the watchers of these edits that they may have missed something.
    pub(crate) fn lagged(&self, edits: &[EditId]) {
        let all = self.lock();
        for watched in edits.iter().filter_map(|edit| all.get(edit)) {
            let _ = watched.sender.send(Update::Lagged);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EditId, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(all: &HashMap<EditId, Watched>) {
    metrics::gauge!("limekiln_broker_watched").set(u32::try_from(all.len()).unwrap_or(u32::MAX));
}
