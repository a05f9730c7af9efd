//! Pruning by age: events, checkpoints, ended edits, images, deliveries, workers that are gone.
//!
//! Rows go here; their blobs go with the sweep, which looks at each blob's own age, because the same image may just be
//! coming in again. Only checkpoints' blobs go at once: nothing is ever written to such a key again.

use std::time::Duration;

use limekiln_blobs::{Blobs, Key};
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
    pub(crate) blobs: Blobs,
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
            counts.push((
                "images",
                store.images_expire(age, LIMIT).await?.len() as u64,
            ));
        }
        let keys = store.checkpoints_expire(checkpoints, LIMIT).await?;
        counts.push(("checkpoints", keys.len() as u64));
        let more = counts.iter().any(|(_, count)| *count >= u64::from(LIMIT));
        counts.push(("workers", store.workers_prune(WORKERS).await?));
        for (what, count) in counts {
            metrics::counter!("limekiln_pruned_total", "what" => what).increment(count);
            if count > 0 {
                tracing::debug!(what, count, "pruned");
            }
        }
        // Last, for S3 may be away while Postgres is not. The sweep finds what isn't deleted now.
        blobs_drop(store, &self.blobs, keys).await?;
        Ok(if more {
            Next::paced(began)
        } else {
            Next::After(self.retention.prune_every)
        })
    }
}

/// Deletes blobs, save those that a row refers to all the same.
async fn blobs_drop(store: &Store, blobs: &Blobs, keys: Vec<String>) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut gone = Vec::with_capacity(keys.len());
    for key in store.blobs_unreferenced(&keys).await? {
        match key.parse::<Key>() {
            Ok(key) => gone.push(key),
            Err(error) => tracing::error!(key, %error, "a row named a blob that can't be"),
        }
    }
    Ok(blobs.delete(&gone).await?)
}
