//! Wakes from the broker, which cut a loop's pause short.

use std::time::Duration;

use limekiln_broker::Wakes;
use tokio::time::sleep;

/// Waits for wakes, and for time alone once the broker's handle is closed.
pub(crate) struct WakeListener {
    wakes: Option<Wakes>,
}

impl WakeListener {
    pub(crate) fn new(wakes: Wakes) -> Self {
        Self { wakes: Some(wakes) }
    }

    /// Waits for a wake, `pause` at most; whether one came.
    pub(crate) async fn wake_within(&mut self, pause: Duration) -> bool {
        let Some(wakes) = &mut self.wakes else {
            sleep(pause).await;
            return false;
        };
        tokio::select! {
            () = sleep(pause) => false,
            wake = wakes.next() => {
                if wake.is_none() {
                    self.wakes = None;
                }
                wake.is_some()
            }
        }
    }
}
