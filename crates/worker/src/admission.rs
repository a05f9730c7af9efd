//! Whether the worker takes edits. The heartbeat decides; the consumers and what waits for a slot obey.

use tokio::sync::watch;

/// Whether the worker takes edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It does.
    #[default]
    Open,
    /// Not until the engine goes on: a call of it has stalled.
    Stalled,
    /// No more: an operator drains the worker, and it ends with the edits that it has.
    Draining,
}

impl Admission {
    /// Waits until the worker takes no edits.
    pub(crate) async fn closed(admission: &mut watch::Receiver<Self>) {
        // The sender lives as long as the worker.
        let _ = admission.wait_for(|now| *now != Self::Open).await;
    }
}
