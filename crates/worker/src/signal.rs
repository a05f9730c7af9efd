//! What happens in a worker, told as it happens, so that tests need not sleep.

use limekiln_jobs::{EditId, Epoch, WorkerId};
use tokio::sync::broadcast;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The editor is loaded and the worker takes edits.
    Ready(WorkerId),
    /// An edit was claimed.
    Claimed(EditId, Epoch),
    /// A message named an edit that can't be claimed.
    Unclaimable(EditId),
    /// The engine has taken the edit, at this step.
    Started(EditId, Epoch, u32),
    /// So many steps are done.
    Stepped(EditId, Epoch, u32),
    /// A checkpoint after so many steps is referred to.
    Checkpointed(EditId, Epoch, u32),
    /// The edit has succeeded.
    Completed(EditId, Epoch),
    /// The attempt has failed.
    Failed(EditId, Epoch),
    /// A write under this epoch was refused.
    Stale(EditId, Epoch),
    /// The edit was stopped here; nothing more is written under this epoch.
    Stopped(EditId, Epoch),
    /// The lease was given back.
    HandedBack(EditId, Epoch),
    /// A call of the engine takes too long; its leases are no longer renewed.
    Stalled,
}

/// Where signals go: nowhere, or to whoever listens.
#[derive(Clone, Debug, Default)]
pub struct Signals(Option<broadcast::Sender<Signal>>);

/// Signals kept for a listener that lags.
const KEPT: usize = 16_384;

impl Signals {
    /// Signals that somebody listens to.
    pub fn channel() -> (Self, broadcast::Receiver<Signal>) {
        let (sender, receiver) = broadcast::channel(KEPT);
        (Self(Some(sender)), receiver)
    }

    /// Another listener, from now on; none where nobody listens.
    pub fn listen(&self) -> Option<broadcast::Receiver<Signal>> {
        self.0.as_ref().map(broadcast::Sender::subscribe)
    }

    pub(crate) fn give(&self, signal: Signal) {
        if let Some(sender) = &self.0 {
            // No listener is no fault.
            let _ = sender.send(signal);
        }
    }
}
