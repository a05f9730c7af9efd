//! Pruning by age: events, checkpoints, ended edits, images, deliveries, their former secrets, workers that are gone.
//!
//! Rows go here, and their blobs are listed for [`deletions`](crate::deletions) in the same statements.

use std::time::Duration;

use limekiln_store::Store;
use tokio::time::Instant;

use crate::control_loop::{ControlLoop, Next};
use crate::{Error, Retention};

/// The most rows of one statement.
const LIMIT: u32 = 500;
/// Workers not heard of for this long are forgotten.
const WORKERS: Duration = Duration::from_secs(86_400);

/// The loop that removes what is old enough, a statement of each kind a round.
pub(crate) struct Prune {
    pub(crate) store: Store,
    pub(crate) retention: Retention,
}

impl ControlLoop for Prune {
    const NAME: &'static str = "prune";
    const ROUND_TIMEOUT: Duration = Duration::from_secs(300);

    async fn round(&mut self) -> Result<Next, Error> {
        let Retention {
            events,
            checkpoints,
            edits,
            images,
            ..
        } = self.retention;
        let began = Instant::now();
        let store = &self.store;
        let mut counts = vec![
            ("events", store.events_prune(events, LIMIT).await?),
            ("webhooks", store.webhooks_prune(events, LIMIT).await?),
        ];
        if let Some(age) = edits {
            counts.push(("edits", store.edits_prune(age, LIMIT).await?));
        }
        if let Some(age) = images {
            counts.push(("images", store.images_expire(age, LIMIT).await?));
        }
        let expired = store.checkpoints_expire(checkpoints, LIMIT).await?;
        counts.push(("checkpoints", expired));
        let more = counts.iter().any(|(_, count)| *count >= u64::from(LIMIT));
        counts.push(("webhook_secrets", store.webhook_secrets_prune().await?));
        counts.push(("workers", store.workers_prune(WORKERS).await?));
        for (what, count) in counts {
            metrics::counter!("limekiln_pruned_total", "what" => what).increment(count);
            if count > 0 {
                tracing::debug!(what, count, "pruned");
            }
        }
        Ok(if more {
            Next::paced(began)
        } else {
            Next::After(self.retention.prune_every)
        })
    }
}
