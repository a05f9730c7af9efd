//! The leases that this worker holds, and the interrupts sent to the edits under them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use limekiln_jobs::{EditId, Epoch};
use tokio::sync::watch;

use crate::RunId;

/// Why an edit must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// The lease is gone, or the edit was cancelled: nothing more may be written.
    Stop,
    /// The lease is to be handed back, with a last checkpoint if there is time for one.
    HandBack,
    /// The edit is to give its slot to another, and to be handed back with a checkpoint.
    Aside,
    /// The engine hangs on the edit.
    Hang,
    /// The engine hangs on a call for several edits, this one among them.
    HangAmongOthers,
}

/// All leases that this worker holds. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<(EditId, Epoch), Entry>,
    /// Set by the shutdown: from then on, every new lease is handed back at once.
    closing: bool,
}

#[derive(Debug)]
struct Entry {
    interrupt: watch::Sender<Option<Interrupt>>,
    /// When the claim or the last renewal was sent. Postgres counts the lease's time from a later moment.
    renewed_at: Instant,
    /// The run in the engine, while there is one.
    run: Option<RunId>,
}

/// One lease. Dropping it ends its renewal.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) edit: EditId,
    pub(crate) epoch: Epoch,
    interrupt: watch::Receiver<Option<Interrupt>>,
    leases: Leases,
    device_ms: AtomicU64,
}

impl Leases {
    /// Registers a lease whose claim was sent at `claimed_at`.
    pub(crate) fn register(&self, edit: EditId, epoch: Epoch, claimed_at: Instant) -> Lease {
        let mut inner = self.inner();
        let (sender, interrupt) = watch::channel(inner.closing.then_some(Interrupt::HandBack));
        let entry = Entry {
            interrupt: sender,
            renewed_at: claimed_at,
            run: None,
        };
        inner.entries.insert((edit, epoch), entry);
        Lease {
            edit,
            epoch,
            interrupt,
            leases: self.clone(),
            device_ms: AtomicU64::new(0),
        }
    }

    /// Whether this worker holds a lease on the edit, of any epoch.
    pub(crate) fn holds(&self, edit: EditId) -> bool {
        self.inner().entries.keys().any(|(held, _)| *held == edit)
    }

    /// How many leases this worker holds.
    pub(crate) fn count(&self) -> usize {
        self.inner().entries.len()
    }

    /// The leases to renew: all but those of stalled runs.
    pub(crate) fn renewable(&self, stalled: &[RunId]) -> Vec<(EditId, Epoch)> {
        let inner = self.inner();
        let mut leases: Vec<(EditId, Epoch)> = inner
            .entries
            .iter()
            .filter(|(_, entry)| !entry.runs_in(stalled))
            .map(|(key, _)| *key)
            .collect();
        leases.sort_unstable();
        leases
    }

    /// Notes that a renewal sent at `sent_at` was applied.
    pub(crate) fn renewed(&self, key: (EditId, Epoch), sent_at: Instant) {
        if let Some(entry) = self.inner().entries.get_mut(&key) {
            entry.renewed_at = sent_at;
        }
    }

    /// Stops an edit; returns whether its lease was held here.
    pub(crate) fn stop(&self, key: (EditId, Epoch)) -> bool {
        let inner = self.inner();
        let Some(entry) = inner.entries.get(&key) else {
            return false;
        };
        entry.interrupt.send_replace(Some(Interrupt::Stop));
        true
    }

    /// Asks an edit to step aside; returns whether that is news to it.
    pub(crate) fn step_aside(&self, key: (EditId, Epoch)) -> bool {
        let inner = self.inner();
        let entry = inner.entries.get(&key);
        entry.is_some_and(|entry| entry.interrupt_by(Interrupt::Aside))
    }

    /// Hands every lease back, those that are registered later too.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.closing = true;
        inner.entries.values().for_each(Entry::hand_back);
    }

    /// Hands back the leases of edits that wait in the engine behind a stalled call: another worker can go on with them.
    pub(crate) fn hand_back_behind(&self, stalled: &[RunId]) {
        self.inner()
            .entries
            .values()
            .filter(|entry| entry.run.is_some_and(|run| !stalled.contains(&run)))
            .for_each(Entry::hand_back);
    }

    /// Gives up the edits of a call that hangs.
    pub(crate) fn give_up(&self, stalled: &[RunId]) {
        let by = match stalled {
            [_] => Interrupt::Hang,
            _ => Interrupt::HangAmongOthers,
        };
        self.inner()
            .entries
            .values()
            .filter(|entry| entry.runs_in(stalled))
            .for_each(|entry| {
                entry.interrupt_by(by);
            });
    }

    /// Whether the leases of all these runs were last renewed more than `ttl` ago.
    pub(crate) fn expired(&self, runs: &[RunId], ttl: Duration) -> bool {
        self.inner()
            .entries
            .values()
            .filter(|entry| entry.runs_in(runs))
            .all(|entry| entry.renewed_at.elapsed() > ttl)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn runs_in(&self, runs: &[RunId]) -> bool {
        self.run.is_some_and(|run| runs.contains(&run))
    }

    fn hand_back(&self) {
        self.interrupt_by(Interrupt::HandBack);
    }

    /// Interrupts the edit, unless it was interrupted before: a stop must stay a stop. Only who was to step aside may hear of
    /// something else. Returns whether the edit hears of it.
    fn interrupt_by(&self, by: Interrupt) -> bool {
        self.interrupt.send_if_modified(|interrupt| {
            let first = interrupt.is_none_or(|was| was == Interrupt::Aside && by != was);
            if first {
                *interrupt = Some(by);
            }
            first
        })
    }
}

impl Lease {
    /// Waits until the edit must not go on. Cancel safe.
    pub(crate) async fn interrupted(&self) -> Interrupt {
        self.wait_for(|_| true).await
    }

    /// The same, for an edit that has nothing to step aside from.
    pub(crate) async fn interrupted_for_good(&self) -> Interrupt {
        self.wait_for(|by| by != Interrupt::Aside).await
    }

    async fn wait_for(&self, counts: impl Fn(Interrupt) -> bool) -> Interrupt {
        let mut interrupt = self.interrupt.clone();
        match interrupt.wait_for(|by| by.is_some_and(&counts)).await {
            Ok(interrupt) => interrupt.unwrap_or(Interrupt::Stop),
            // The sender is gone only when the lease is.
            Err(_) => Interrupt::Stop,
        }
    }

    /// Notes how long the attempt was on the device.
    pub(crate) fn spent(&self, device: Duration) {
        let ms = u64::try_from(device.as_millis()).unwrap_or(u64::MAX);
        self.device_ms.store(ms, Ordering::Relaxed);
    }

    /// How long the attempt was on the device, in milliseconds.
    pub(crate) fn device_ms(&self) -> u64 {
        self.device_ms.load(Ordering::Relaxed)
    }

    /// Notes that the engine runs the edit, or does so no longer.
    pub(crate) fn set_run(&self, run: Option<RunId>) {
        let key = (self.edit, self.epoch);
        if let Some(entry) = self.leases.inner().entries.get_mut(&key) {
            entry.run = run;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.inner().entries.remove(&(self.edit, self.epoch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(leases: &Leases, run: Option<u64>) -> Lease {
        let lease = leases.register(EditId::new(), Epoch::new(1), Instant::now());
        lease.set_run(run.map(RunId));
        lease
    }

    #[test]
    fn a_stalled_call_is_not_renewed_and_those_behind_it_are_handed_back() {
        let leases = Leases::default();
        let (culprit, behind, outside) = (
            lease(&leases, Some(1)),
            lease(&leases, Some(2)),
            lease(&leases, None),
        );
        let stalled = [RunId(1)];
        assert_eq!(
            leases.renewable(&stalled),
            [(behind.edit, behind.epoch), (outside.edit, outside.epoch)]
        );
        leases.hand_back_behind(&stalled);
        assert_eq!(*culprit.interrupt.borrow(), None);
        leases.give_up(&stalled);
        assert_eq!(*culprit.interrupt.borrow(), Some(Interrupt::Hang));
        assert_eq!(*behind.interrupt.borrow(), Some(Interrupt::HandBack));
        assert_eq!(*outside.interrupt.borrow(), None);
        assert!(leases.expired(&stalled, Duration::ZERO));
        assert!(!leases.expired(&stalled, Duration::from_secs(3600)));
    }

    #[test]
    fn a_stop_beats_handing_back_and_closing_meets_latecomers() {
        let leases = Leases::default();
        let early = lease(&leases, None);
        assert!(leases.stop((early.edit, early.epoch)));
        leases.close();
        assert_eq!(*early.interrupt.borrow(), Some(Interrupt::Stop));
        let late = lease(&leases, None);
        assert_eq!(*late.interrupt.borrow(), Some(Interrupt::HandBack));
        let edit = late.edit;
        assert!(leases.holds(edit));
        drop(late);
        assert!(!leases.holds(edit) && leases.count() == 1);
        assert!(!leases.stop((edit, Epoch::new(1))));
    }

    #[test]
    fn who_steps_aside_hears_of_it_once_and_of_a_stop_all_the_same() {
        let leases = Leases::default();
        let lease = lease(&leases, None);
        let key = (lease.edit, lease.epoch);
        assert!(leases.step_aside(key) && !leases.step_aside(key));
        assert!(!leases.step_aside((lease.edit, Epoch::new(2))));
        assert_eq!(*lease.interrupt.borrow(), Some(Interrupt::Aside));
        leases.close();
        assert_eq!(*lease.interrupt.borrow(), Some(Interrupt::HandBack));
        assert!(leases.stop(key) && !leases.step_aside(key));
        assert_eq!(*lease.interrupt.borrow(), Some(Interrupt::Stop));
    }
}
