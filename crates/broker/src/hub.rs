//! Hands what reaches this process to its subscribers and its receivers of wakes and stops, on both backends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limekiln_jobs::{EditId, Live};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::{Stop, Update};

/// How many updates a subscriber may lag behind before it is told to read Postgres again.
const UPDATES_LAG: usize = 64;
/// How many stops a worker may lag behind.
const STOPS_LAG: usize = 1024;

/// Fans out to every receiver of this process.
#[derive(Debug)]
pub(crate) struct Hub {
    subscribed: Mutex<HashMap<EditId, Subscribers>>,
    wakes: watch::Sender<u64>,
    stops: broadcast::Sender<Stop>,
    closed: CancellationToken,
}

/// Those who follow one edit.
#[derive(Debug)]
struct Subscribers {
    sender: broadcast::Sender<Update>,
    /// Whether messages about the edit reach this process.
    bound: bool,
}

impl Hub {
    pub(crate) fn new(closed: CancellationToken) -> Self {
        Self {
            subscribed: Mutex::default(),
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
        // An error means that nobody receives stops: this process runs no worker.
        let _ = self.stops.send(stop);
    }

    pub(crate) fn stops(&self) -> broadcast::Receiver<Stop> {
        self.stops.subscribe()
    }

    /// A receiver for one edit, and whether messages about the edit already reach this process.
    pub(crate) fn subscribe(&self, edit: EditId) -> (broadcast::Receiver<Update>, bool) {
        let mut subscribed = self.lock();
        let subscribers = subscribed.entry(edit).or_insert_with(|| Subscribers {
            sender: broadcast::Sender::new(UPDATES_LAG),
            bound: false,
        });
        let receiver = (subscribers.sender.subscribe(), subscribers.bound);
        gauge(&subscribed);
        receiver
    }

    /// Forgets an edit that has no receiver left. Returns whether it did.
    pub(crate) fn unsubscribe(&self, edit: EditId) -> bool {
        let mut subscribed = self.lock();
        let last = subscribed
            .get(&edit)
            .is_some_and(|subscribers| subscribers.sender.receiver_count() == 0);
        if last {
            subscribed.remove(&edit);
            gauge(&subscribed);
        }
        last
    }

    pub(crate) fn is_subscribed(&self, edit: EditId) -> bool {
        self.lock().contains_key(&edit)
    }

    /// The edits with a subscriber in this process.
    pub(crate) fn subscribed(&self) -> Vec<EditId> {
        self.lock().keys().copied().collect()
    }

    /// Notes that messages about the edit now reach this process.
    pub(crate) fn bound(&self, edit: EditId) {
        if let Some(subscribers) = self.lock().get_mut(&edit) {
            subscribers.bound = true;
        }
    }

    /// Notes that no edit's messages reach this process any more.
    pub(crate) fn unbound_all(&self) {
        self.lock()
            .values_mut()
            .for_each(|subscribers| subscribers.bound = false);
    }

    pub(crate) fn live(&self, live: Live) {
        if let Some(subscribers) = self.lock().get(&live.edit()) {
            // An error means that the last subscriber is just leaving.
            let _ = subscribers.sender.send(Update::Live(Arc::new(live)));
        }
    }

    /// Tells the subscribers of these edits that they may have missed something.
    pub(crate) fn lagged(&self, edits: &[EditId]) {
        let subscribed = self.lock();
        for subscribers in edits.iter().filter_map(|edit| subscribed.get(edit)) {
            let _ = subscribers.sender.send(Update::Lagged);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EditId, Subscribers>> {
        self.subscribed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(subscribed: &HashMap<EditId, Subscribers>) {
    metrics::gauge!("limekiln_broker_watched")
        .set(u32::try_from(subscribed.len()).unwrap_or(u32::MAX));
}
