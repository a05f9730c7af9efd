//! Blobs whose rows were deleted: by a client, by age, with their tenant. They are listed in Postgres and go from S3 here,
//! within minutes, through crashes and outages.
//!
//! A key by itself is one that an upload may use again, so it is deleted once, and only while no row refers to it; until the
//! list forgets it no upload takes it. What lies under a prefix belongs to one edit or to a tenant that is gone; it is deleted
//! twice, because a worker that lost its lease may have been putting a result. Nothing goes while the bucket is another
//! fleet's, or newer than the database (`marker`).

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use limekiln_blobs::{Blobs, Key, Prefix};
use limekiln_store::{BlobDeletion, Store};
use tokio::time::Instant;

use crate::Error;
use crate::control_loop::{ControlLoop, Next};
use crate::marker::standing;

/// Deletions claimed in one round.
const LIMIT: u32 = 256;
/// Deletions under way at once.
const CONCURRENCY: usize = 16;
/// Blobs of one page.
const PAGE: u16 = 1000;
/// Pages of one prefix in one round.
const PAGES: u32 = 10;

/// The loop that works the list off.
pub(crate) struct Deletions {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) every: Duration,
}

/// How a deletion went.
enum Outcome {
    Done,
    /// Under the prefix there is more.
    More,
}

impl Deletions {
    /// Deletes what lies under a prefix. A single key that comes again is done.
    async fn prefix_delete(&self, deletion: &BlobDeletion) -> Result<Outcome, Error> {
        let Some(key) = deletion.key.strip_suffix('/').and_then(parsed) else {
            return Ok(Outcome::Done);
        };
        let prefix = Prefix::folder(&key);
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let page = self.blobs.list(&prefix, after.as_deref(), PAGE).await?;
            let keys = page.blobs.into_iter().map(|blob| blob.key).collect();
            self.unreferenced_delete(keys).await?;
            after = page.next;
            if after.is_none() {
                return Ok(Outcome::Done);
            }
        }
        Ok(Outcome::More)
    }

    /// Deletes those that no row refers to.
    async fn unreferenced_delete(&self, mut keys: Vec<Key>) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = keys.iter().map(Key::to_string).collect();
        let referenced = self.store.blobs_referenced(&names).await?;
        if !referenced.is_empty() {
            tracing::warn!(
                blobs = referenced.len(),
                "listed for deletion, and referred to: they stay"
            );
            keys.retain(|key| !referenced.iter().any(|one| one == key.as_str()));
        }
        self.blobs.delete(&keys).await?;
        metrics::counter!("limekiln_deleted_blobs_total").increment(keys.len() as u64);
        Ok(())
    }
}

fn parsed(name: &str) -> Option<Key> {
    name.parse()
        .inspect_err(|error| tracing::error!(name, %error, "a row named a blob that can't be"))
        .ok()
}

impl ControlLoop for Deletions {
    const NAME: &'static str = "delete";
    const ROUND_TIMEOUT: Duration = Duration::from_secs(300);

    async fn round(&mut self) -> Result<Next, Error> {
        let began = Instant::now();
        let claimed = self.store.blob_deletions_claim(LIMIT).await?;
        // What was listed before a database was restored may be in use by now.
        if !claimed.is_empty()
            && !standing(&self.store, &self.blobs)
                .await?
                .may_delete_listed()
        {
            return Ok(Next::After(self.every));
        }
        let full = claimed.len() >= LIMIT as usize;
        let (mut done, mut more, mut failed) = (Vec::new(), Vec::new(), None);
        // Single keys, of which expired checkpoints are many, go by one request.
        let (single, rest): (Vec<_>, Vec<_>) = claimed
            .into_iter()
            .partition(|deletion| !deletion.again && !deletion.key.ends_with('/'));
        let keys = single.iter().filter_map(|deletion| parsed(&deletion.key));
        match self.unreferenced_delete(keys.collect()).await {
            Ok(()) => done.extend(single.into_iter().map(|deletion| deletion.key)),
            Err(error) => failed = Some(error),
        }
        let this = &*self;
        let mut ended = stream::iter(rest)
            .map(|deletion| async move {
                let outcome = this.prefix_delete(&deletion).await;
                (deletion, outcome)
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((deletion, outcome)) = ended.next().await {
            match outcome {
                Ok(Outcome::Done) => done.push(deletion.key),
                Ok(Outcome::More) => more.push(deletion.key),
                Err(error) => {
                    tracing::debug!(key = deletion.key, %error, "not deleted; it will be tried again");
                    failed = Some(error);
                }
            }
        }
        drop(ended);
        if !done.is_empty() {
            self.store.blob_deletions_done(&done).await?;
        }
        if !more.is_empty() {
            self.store.blob_deletions_more(&more).await?;
        }
        match failed {
            // What went well is recorded; what did not is due again later.
            Some(error) => Err(error),
            // Nothing may be listed faster than it goes.
            None if full || !more.is_empty() => Ok(Next::After(began.elapsed())),
            None => Ok(Next::After(self.every)),
        }
    }
}
