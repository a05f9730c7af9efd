//! Signals of what happens in a worker, so that tests wait for what they need instead of sleeping.

use limekiln_jobs::{EditId, Epoch, WorkerId};
use tokio::sync::broadcast;

/// Something that happened in a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The editor is loaded and the worker takes edits.
    Ready(WorkerId),
    /// An edit was claimed.
    Claimed(EditId, Epoch),
    /// A message named an edit that can't be claimed.
    Unclaimable(EditId),
    /// The engine has started the edit, or resumed it, at this step.
    Started(EditId, Epoch, u32),
    /// This many steps are done.
    Stepped(EditId, Epoch, u32),
    /// Postgres refers to a checkpoint after this many steps.
    Checkpointed(EditId, Epoch, u32),
    /// The edit has succeeded.
    Completed(EditId, Epoch),
    /// The attempt has failed.
    Failed(EditId, Epoch),
    /// A write under this epoch was refused.
    Stale(EditId, Epoch),
    /// The edit was stopped here; nothing more is written under this epoch.
    Stopped(EditId, Epoch),
    /// The lease was handed back.
    HandedBack(EditId, Epoch),
    /// The edit needs what this worker can't do, and was handed back for another.
    PassedOn(EditId, Epoch),
    /// The checkpoint can't be used: the edit starts over.
    StartedOver(EditId, Epoch),
    /// A call of the engine takes too long; its leases are no longer renewed.
    Stalled,
}

/// Emits signals: to nobody by default, or to every subscriber.
#[derive(Clone, Debug, Default)]
pub struct Signals(Option<broadcast::Sender<Signal>>);

/// Signals kept for a subscriber that lags.
const CAPACITY: usize = 16_384;

impl Signals {
    /// Makes signals with their first subscriber.
    pub fn channel() -> (Self, broadcast::Receiver<Signal>) {
        let (sender, receiver) = broadcast::channel(CAPACITY);
        (Self(Some(sender)), receiver)
    }

    /// Another subscriber, from now on; none where signals go nowhere.
    pub fn subscribe(&self) -> Option<broadcast::Receiver<Signal>> {
        self.0.as_ref().map(broadcast::Sender::subscribe)
    }

    pub(crate) fn emit(&self, signal: Signal) {
        if let Some(sender) = &self.0 {
            // It is no fault that nobody is subscribed.
            let _ = sender.send(signal);
        }
    }
}
