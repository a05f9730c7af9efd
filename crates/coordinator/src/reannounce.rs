//! Announces again what was announced and not claimed: where the queue holds fewer messages than edits wait for, some got lost. And
//! bulk that has waited for long, with the interactive edits.

use std::time::Duration;

use limekiln_store::{Announcement, Store};

use crate::Error;
use crate::announcer::Announcer;
use crate::control_loop::{ControlLoop, Next};

/// The most edits of one statement.
const LIMIT: u32 = 256;

/// The loop that announces again.
pub(crate) struct Reannounce {
    pub(crate) store: Store,
    pub(crate) announcer: Announcer,
    pub(crate) every: Duration,
    /// How long bulk waits before it goes with the interactive edits.
    pub(crate) bulk_wait: Duration,
}

impl Reannounce {
    /// What lacks its message, of those that nobody has claimed for a while.
    async fn lost(&self) -> Result<Vec<Announcement>, Error> {
        let mut lost = Vec::new();
        for overdue in self.store.edits_overdue().await? {
            let waiting = self.announcer.waiting(&overdue).await?;
            let missing = overdue.unclaimed.saturating_sub(waiting);
            let again = self.store.edits_announce_again(&overdue, missing, LIMIT);
            lost.extend(again.await?);
        }
        for one in &lost {
            metrics::counter!("limekiln_announced_again_total", "model" => one.model.to_string(), "class" => one.class.as_str()).increment(1);
            tracing::debug!(edit = %one.edit, announcement = one.announcement, "announced again");
        }
        Ok(lost)
    }
}

impl ControlLoop for Reannounce {
    const NAME: &'static str = "announce_again";

    async fn round(&mut self) -> Result<Next, Error> {
        // Each announcement makes the wait for the edit's next one longer, so none is wasted on a broker that is away.
        // The release logs that it is.
        if !self.announcer.is_connected() {
            return Ok(Next::After(self.every));
        }
        let mut announcements = self.lost().await?;
        let aged = self.store.edits_age(self.bulk_wait, LIMIT).await?;
        for one in &aged {
            metrics::counter!("limekiln_aged_total", "model" => one.model.to_string()).increment(1);
        }
        announcements.extend(aged);
        if announcements.is_empty() {
            return Ok(Next::After(self.every));
        }
        let failed = self.announcer.announce(&announcements).await;
        match failed.error {
            // They stay announced, and become overdue again.
            Some(error) if failed.edits.len() == announcements.len() => Err(error.into()),
            _ if announcements.len() >= LIMIT as usize => Ok(Next::Now),
            _ => Ok(Next::After(self.every)),
        }
    }
}
