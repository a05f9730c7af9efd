//! Hands what reaches this process to its subscribers and its receivers of wakes, stops and offers, on both backends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limekiln_jobs::{Live, WorkerId};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::{Followed, Hint, Stop, Update};

/// How many updates a subscriber may lag behind before it is told to read Postgres again.
const UPDATES_LAG: usize = 64;
/// How many stops a worker may lag behind.
const STOPS_LAG: usize = 1024;
/// How many offers a worker may lag behind: it takes them at once, or has no slot for them.
const OFFERS_LAG: usize = 64;

/// Fans out to every receiver of this process.
#[derive(Debug)]
pub(crate) struct Hub {
    subscribed: Mutex<HashMap<Followed, Subscribers>>,
    wakes: watch::Sender<u64>,
    stops: broadcast::Sender<Stop>,
    offers: broadcast::Sender<(WorkerId, Hint)>,
    closed: CancellationToken,
}

/// Those who follow one edit or session.
#[derive(Debug)]
struct Subscribers {
    sender: broadcast::Sender<Update>,
    /// Whether its messages reach this process.
    bound: bool,
}

impl Hub {
    pub(crate) fn new(closed: CancellationToken) -> Self {
        Self {
            subscribed: Mutex::default(),
            wakes: watch::Sender::new(0),
            stops: broadcast::Sender::new(STOPS_LAG),
            offers: broadcast::Sender::new(OFFERS_LAG),
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

    pub(crate) fn offer(&self, worker: WorkerId, hint: Hint) {
        // An error means that this process runs no worker.
        let _ = self.offers.send((worker, hint));
    }

    pub(crate) fn offers(&self) -> broadcast::Receiver<(WorkerId, Hint)> {
        self.offers.subscribe()
    }

    /// A receiver for one edit or session, and whether its messages already reach this process.
    pub(crate) fn subscribe(&self, followed: Followed) -> (broadcast::Receiver<Update>, bool) {
        let mut subscribed = self.lock();
        let subscribers = subscribed.entry(followed).or_insert_with(|| Subscribers {
            sender: broadcast::Sender::new(UPDATES_LAG),
            bound: false,
        });
        let receiver = (subscribers.sender.subscribe(), subscribers.bound);
        gauge(&subscribed);
        receiver
    }

    /// Forgets what has no receiver left. Returns whether it did.
    pub(crate) fn unsubscribe(&self, followed: Followed) -> bool {
        let mut subscribed = self.lock();
        let last = subscribed
            .get(&followed)
            .is_some_and(|subscribers| subscribers.sender.receiver_count() == 0);
        if last {
            subscribed.remove(&followed);
            gauge(&subscribed);
        }
        last
    }

    pub(crate) fn is_subscribed(&self, followed: Followed) -> bool {
        self.lock().contains_key(&followed)
    }

    /// What has a subscriber in this process.
    pub(crate) fn subscribed(&self) -> Vec<Followed> {
        self.lock().keys().copied().collect()
    }

    /// Notes that these messages now reach this process.
    pub(crate) fn bound(&self, followed: Followed) {
        if let Some(subscribers) = self.lock().get_mut(&followed) {
            subscribers.bound = true;
        }
    }

    /// Notes that no live messages reach this process any more.
    pub(crate) fn unbound_all(&self) {
        self.lock()
            .values_mut()
            .for_each(|subscribers| subscribers.bound = false);
    }

    /// Hands a message to those of its subscribers that it came for.
    pub(crate) fn live(&self, followed: Followed, live: Arc<Live>) {
        if let Some(subscribers) = self.lock().get(&followed) {
            // An error means that the last subscriber is just leaving.
            let _ = subscribers.sender.send(Update::Live(live));
        }
    }

    /// Tells the subscribers of these that they may have missed something.
    pub(crate) fn lagged(&self, followed: &[Followed]) {
        let subscribed = self.lock();
        for subscribers in followed.iter().filter_map(|one| subscribed.get(one)) {
            let _ = subscribers.sender.send(Update::Lagged);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Followed, Subscribers>> {
        self.subscribed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(subscribed: &HashMap<Followed, Subscribers>) {
    metrics::gauge!("limekiln_broker_watched")
        .set(u32::try_from(subscribed.len()).unwrap_or(u32::MAX));
}
