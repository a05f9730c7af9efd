//! Leases held here, and what the edits under them are told to do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use limekiln_jobs::{EditId, Epoch};
use tokio::sync::watch;

use crate::Ticket;

/// What an edit under a lease is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    Go,
    /// The lease is gone, or the edit cancelled: write nothing more.
    Stop,
    /// Give the lease back, with a last checkpoint if there is time for one.
    HandBack,
}

/// All leases held here. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    held: HashMap<(EditId, Epoch), Held>,
    /// Leases are only given back from now on.
    closing: bool,
}

#[derive(Debug)]
struct Held {
    orders: watch::Sender<Order>,
    /// When the lease began to last for its whole time, at the latest.
    renewed_at: Instant,
    /// While the engine has the edit.
    ticket: Option<Ticket>,
}

/// One lease. Dropped, it is no longer renewed.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) edit: EditId,
    pub(crate) epoch: Epoch,
    orders: watch::Receiver<Order>,
    leases: Leases,
}

impl Leases {
    /// Holds a lease that was claimed not before `since`.
    pub(crate) fn enter(&self, edit: EditId, epoch: Epoch, since: Instant) -> Lease {
        let mut inner = self.inner();
        let first = if inner.closing {
            Order::HandBack
        } else {
            Order::Go
        };
        let (sender, orders) = watch::channel(first);
        let held = Held {
            orders: sender,
            renewed_at: since,
            ticket: None,
        };
        inner.held.insert((edit, epoch), held);
        Lease {
            edit,
            epoch,
            orders,
            leases: self.clone(),
        }
    }

    /// Whether a lease on the edit is held, of whatever epoch.
    pub(crate) fn holds(&self, edit: EditId) -> bool {
        self.inner().held.keys().any(|(held, _)| *held == edit)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.inner().held.len()
    }

    /// Those to renew: all but those of edits in a call that has stalled.
    pub(crate) fn renewable(&self, stalled: &[Ticket]) -> Vec<(EditId, Epoch)> {
        let inner = self.inner();
        let beats = |held: &Held| !held.ticket.is_some_and(|ticket| stalled.contains(&ticket));
        let mut leases: Vec<(EditId, Epoch)> = inner
            .held
            .iter()
            .filter(|(_, held)| beats(held))
            .map(|(key, _)| *key)
            .collect();
        leases.sort_unstable();
        leases
    }

    /// A renewal that was sent at `at` was done.
    pub(crate) fn renewed(&self, key: (EditId, Epoch), at: Instant) {
        if let Some(held) = self.inner().held.get_mut(&key) {
            held.renewed_at = at;
        }
    }

    /// Stops an edit; whether it was under way.
    pub(crate) fn stop(&self, key: (EditId, Epoch)) -> bool {
        let inner = self.inner();
        let Some(held) = inner.held.get(&key) else {
            return false;
        };
        held.orders.send_replace(Order::Stop);
        true
    }

    /// From now on every lease is given back.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.closing = true;
        inner.held.values().for_each(hand_back);
    }

    /// Gives the leases of edits back that wait in the engine behind a call that has stalled.
    pub(crate) fn hand_back_behind(&self, stalled: &[Ticket]) {
        let inner = self.inner();
        let waits = |held: &&Held| held.ticket.is_some_and(|ticket| !stalled.contains(&ticket));
        inner.held.values().filter(waits).for_each(hand_back);
    }

    /// Whether all leases of these edits ran out at least `ttl` ago.
    pub(crate) fn lost(&self, stalled: &[Ticket], ttl: Duration) -> bool {
        self.inner()
            .held
            .values()
            .filter(|held| held.ticket.is_some_and(|ticket| stalled.contains(&ticket)))
            .all(|held| held.renewed_at.elapsed() > ttl)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hand_back(held: &Held) {
    held.orders.send_if_modified(|order| {
        let going = *order == Order::Go;
        if going {
            *order = Order::HandBack;
        }
        going
    });
}

impl Lease {
    /// Waits until the edit is told not to go on, and says what to do.
    pub(crate) async fn ordered(&self) -> Order {
        let mut orders = self.orders.clone();
        match orders.wait_for(|order| *order != Order::Go).await {
            Ok(order) => *order,
            // Not while the lease is held.
            Err(_) => Order::Stop,
        }
    }

    /// The engine has the edit, or no longer.
    pub(crate) fn engine(&self, ticket: Option<Ticket>) {
        let key = (self.edit, self.epoch);
        if let Some(held) = self.leases.inner().held.get_mut(&key) {
            held.ticket = ticket;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.inner().held.remove(&(self.edit, self.epoch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(leases: &Leases, ticket: Option<u64>) -> Lease {
        let lease = leases.enter(EditId::new(), Epoch::new(1), Instant::now());
        lease.engine(ticket.map(Ticket));
        lease
    }

    #[test]
    fn a_stalled_call_is_not_renewed_and_those_behind_it_are_given_back() {
        let leases = Leases::default();
        let (culprit, behind, outside) = (
            lease(&leases, Some(1)),
            lease(&leases, Some(2)),
            lease(&leases, None),
        );
        let stalled = [Ticket(1)];
        assert_eq!(
            leases.renewable(&stalled),
            [(behind.edit, behind.epoch), (outside.edit, outside.epoch)]
        );
        leases.hand_back_behind(&stalled);
        assert_eq!(*culprit.orders.borrow(), Order::Go);
        assert_eq!(*behind.orders.borrow(), Order::HandBack);
        assert_eq!(*outside.orders.borrow(), Order::Go);
        assert!(leases.lost(&stalled, Duration::ZERO));
        assert!(!leases.lost(&stalled, Duration::from_secs(3600)));
    }

    #[test]
    fn a_stop_beats_giving_back_and_closing_meets_latecomers() {
        let leases = Leases::default();
        let early = lease(&leases, None);
        assert!(leases.stop((early.edit, early.epoch)));
        leases.close();
        assert_eq!(*early.orders.borrow(), Order::Stop);
        let late = lease(&leases, None);
        assert_eq!(*late.orders.borrow(), Order::HandBack);
        let edit = late.edit;
        assert!(leases.holds(edit));
        drop(late);
        assert!(!leases.holds(edit) && leases.count() == 1);
        assert!(!leases.stop((edit, Epoch::new(1))));
    }
}
