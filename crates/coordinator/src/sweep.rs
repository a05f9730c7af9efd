//! Blobs that no row refers to: uploads whose client went away, results of workers that were fenced out, what was
//! pruned. They go once they are older than the grace time, in which their rows would have come.
//!
//! An image's key is its content, so an old orphan may be uploaded again at any moment; the upload makes the blob young.
//! Its age is therefore looked at again right before it is deleted. What is left is the time of one request, once, for an
//! upload of the very bytes of an orphan.

use std::time::Duration;

use limekiln_blobs::{Blobs, Key, Listed, Prefix};
use limekiln_store::Store;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::Error;
use crate::control_loop::{ControlLoop, Next, jitter};

/// Blobs of one page, and of one round.
const PAGE: u16 = 500;
/// Unfinished uploads in parts ended in one round.
const UPLOADS: u16 = 500;

/// The loop that deletes orphans, a page a round.
pub(crate) struct Sweep {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) every: Duration,
    pub(crate) grace: Duration,
    /// The last key of the page before; a walk starts without it.
    pub(crate) after: Option<String>,
    /// Deleted on this walk.
    pub(crate) deleted: u64,
}

impl Sweep {
    /// The keys of those that are old enough at this time.
    fn old(&self, blobs: &[Listed], now: OffsetDateTime) -> Vec<String> {
        let old = |blob: &&Listed| {
            blob.modified
                .is_some_and(|modified| modified + self.grace < now)
        };
        blobs
            .iter()
            .filter(old)
            .map(|blob| blob.key.to_string())
            .collect()
    }

    /// Whether the blob is old enough now: an upload of the same content may have come meanwhile.
    async fn still_old(&self, key: &Key) -> Result<bool, Error> {
        let modified = self.blobs.head(key).await?.and_then(|head| head.modified);
        Ok(modified.is_some_and(|modified| modified + self.grace < OffsetDateTime::now_utc()))
    }

    async fn page(&self, blobs: &[Listed]) -> Result<u64, Error> {
        let old = self.old(blobs, OffsetDateTime::now_utc());
        if old.is_empty() {
            return Ok(0);
        }
        let orphans = self.store.blobs_unreferenced(&old).await?;
        let (mut once, mut deleted) = (Vec::new(), 0);
        for key in orphans {
            let key: Key = key.parse()?;
            if is_content_addressed(&key) {
                // One at a time, so that the time between the check and the deletion is short.
                let unreferenced = !self
                    .store
                    .blobs_unreferenced(&[key.to_string()])
                    .await?
                    .is_empty();
                if unreferenced && self.still_old(&key).await? {
                    self.blobs.delete(&[key]).await?;
                    deleted += 1;
                }
            } else {
                // The key has its epoch in it and is never written again.
                once.push(key);
            }
        }
        self.blobs.delete(&once).await?;
        Ok(deleted + once.len() as u64)
    }
}

impl ControlLoop for Sweep {
    const NAME: &'static str = "sweep";
    const ROUND_TIMEOUT: Duration = Duration::from_secs(300);

    async fn round(&mut self) -> Result<Next, Error> {
        let began = Instant::now();
        let page = self
            .blobs
            .list(&Prefix::tenants(), self.after.as_deref(), PAGE)
            .await?;
        let deleted = self.page(&page.blobs).await?;
        metrics::counter!("limekiln_swept_total").increment(deleted);
        self.deleted += deleted;
        self.after = page.next;
        if self.after.is_some() {
            return Ok(Next::paced(began));
        }
        let uploads = match self.blobs.uploads_abort(self.grace, UPLOADS).await {
            Ok(uploads) => uploads,
            Err(error) => {
                // Not every server can list them. The walk is done all the same.
                tracing::warn!(%error, "unfinished uploads were not ended");
                0
            }
        };
        if self.deleted + uploads > 0 {
            tracing::info!(blobs = self.deleted, uploads, "swept what no row refers to");
        }
        self.deleted = 0;
        Ok(Next::After(jitter(self.every)))
    }
}

/// Whether the key is one that another upload may use again.
fn is_content_addressed(key: &Key) -> bool {
    key.as_str().split('/').nth(2) == Some("images")
}
