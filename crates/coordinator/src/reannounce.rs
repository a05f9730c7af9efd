//! Announces again what was announced and not claimed for a while: the message got lost, or waits in a long queue.

use std::time::Duration;

use limekiln_store::Store;

use crate::Error;
use crate::announcer::Announcer;
use crate::control_loop::{ControlLoop, Next};

/// The most edits of one round.
const LIMIT: u32 = 256;

/// The loop that announces again.
pub(crate) struct Reannounce {
    pub(crate) store: Store,
    pub(crate) announcer: Announcer,
    pub(crate) every: Duration,
}

impl ControlLoop for Reannounce {
    const NAME: &'static str = "announce_again";

    async fn round(&mut self) -> Result<Next, Error> {
        // Each announcement makes the wait for the edit's next one longer, so none is wasted on a broker that is away.
        // The release logs that it is.
        if !self.announcer.is_connected() {
            return Ok(Next::After(self.every));
        }
        let overdue = self.store.edits_announce_again(LIMIT).await?;
        if overdue.is_empty() {
            return Ok(Next::After(self.every));
        }
        for one in &overdue {
            metrics::counter!("limekiln_announced_again_total", "model" => one.model.to_string(), "class" => one.class.as_str()).increment(1);
            tracing::debug!(edit = %one.edit, announcement = one.announcement, "announced again");
        }
        let failed = self.announcer.announce(&overdue).await;
        match failed.error {
            // They stay announced, and become overdue again.
            Some(error) if failed.edits.len() == overdue.len() => Err(error.into()),
            _ if overdue.len() >= LIMIT as usize => Ok(Next::Now),
            _ => Ok(Next::After(self.every)),
        }
    }
}
