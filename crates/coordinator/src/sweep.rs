//! Blobs that no row refers to: uploads whose client went away, results of workers that were fenced out. (Those whose rows were
//! deleted are the business of `deletions`.)
//!
//! A walk goes through the bucket and records them as candidates. When it is through, those go that a walk at least the grace
//! time before had recorded as well, by the database's clock, and that were not written since. So nothing goes that was not an
//! orphan for all that time, nothing goes when a coordinator has just started, and no other clock has a say. Nothing goes
//! either when too many blobs would, for then it is the database that is wrong, nor when the marker says that bucket
//! and database are not of one fleet and of one time (`marker`).
//!
//! An image's key is its content, so an old orphan may be uploaded again at any moment; the upload makes another candidate of
//! it. Both are therefore looked at again right before it is deleted. What is left is the time of one request, once, for an
//! upload of the very bytes of an orphan.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use limekiln_blobs::{Blobs, Key, Listed, Prefix};
use limekiln_store::{Store, WalkedBlob};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::Error;
use crate::control_loop::{ControlLoop, Next, jitter};
use crate::marker::standing;

/// Blobs of one page, and of one round.
const PAGE: u16 = 500;
/// Blobs deleted in one round.
const DELETED: u32 = 200;
/// Blobs looked at and deleted at once.
const AT_ONCE: usize = 8;
/// Candidates of which the database does not know why: more wait for a later walk.
const CANDIDATES: u32 = 100_000;
/// Unfinished uploads in parts ended in one round.
const UPLOADS: u16 = 500;
/// The longest pause between two looks whether a walk is due; also before the first.
const LOOK: Duration = Duration::from_secs(600);
/// A walk of which nothing is heard for so long has died with its coordinator. A page may take as long as a round and the pause
/// after it.
const LOST: Duration = Duration::from_secs(3600);

/// The loop that deletes orphans, a page a round.
pub(crate) struct Sweep {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) every: Duration,
    pub(crate) grace: Duration,
    /// The share of blobs that may look like orphans.
    pub(crate) orphans_most: f64,
    pub(crate) phase: Phase,
}

/// What the next round does.
#[derive(Clone)]
pub(crate) enum Phase {
    /// Waits, for the process has just started.
    Started,
    /// Looks whether a walk is due.
    Waiting,
    /// Goes on walking.
    Walking(Walk),
    /// Goes on deleting.
    Deleting {
        /// When the walk began.
        began: OffsetDateTime,
        /// Deleted so far.
        deleted: u64,
    },
}

/// A walk under way.
#[derive(Clone)]
pub(crate) struct Walk {
    began: OffsetDateTime,
    /// The last key of the page before.
    after: Option<String>,
    /// Blobs so far.
    blobs: u64,
    /// Orphans among them of which the database does not know why.
    unknown: u64,
    /// Candidates that may still be recorded.
    room: u64,
}

impl Sweep {
    /// Longest pause until the next look whether a walk is due.
    fn idle(&self) -> Next {
        Next::After(jitter(self.every.min(LOOK)))
    }

    async fn begin(&mut self) -> Result<Next, Error> {
        // A restored database must not count days of grace before an operator has looked at it.
        if !standing(&self.store, &self.blobs).await?.may_delete() {
            return Ok(self.idle());
        }
        let room = self.store.sweep_room(CANDIDATES).await?;
        let Some(began) = self.store.walk_begin(self.every, LOST).await? else {
            return Ok(self.idle());
        };
        self.phase = Phase::Walking(Walk {
            began,
            after: None,
            blobs: 0,
            unknown: 0,
            room,
        });
        Ok(Next::Now)
    }

    async fn walk(&mut self, mut walk: Walk) -> Result<Next, Error> {
        let began = Instant::now();
        let page = self
            .blobs
            .list(&Prefix::tenants(), walk.after.as_deref(), PAGE)
            .await?;
        let blobs: Vec<WalkedBlob> = page.blobs.iter().filter_map(walked).collect();
        if !blobs.is_empty() {
            let found = self.store.sweep_mark(&blobs, walk.room, self.grace).await?;
            walk.unknown += found.unknown;
            walk.room = walk.room.saturating_sub(found.fresh);
        }
        walk.blobs += page.blobs.len() as u64;
        walk.after = page.next;
        self.store.walk_seen(walk.began, true).await?;
        if walk.after.is_some() {
            self.phase = Phase::Walking(walk);
            return Ok(Next::paced(began));
        }
        let stopped = walk.unknown as f64 > self.orphans_most * walk.blobs as f64;
        self.store.walk_end(walk.began, stopped).await?;
        if stopped {
            tracing::error!(
                blobs = walk.blobs,
                orphans = walk.unknown,
                "too many blobs look like orphans, so none is deleted: see with `limekiln doctor --blobs` whether the database is the right one; `limekiln migrate --accept-orphans` lets them go"
            );
            return self.end(walk.began).await;
        }
        self.phase = Phase::Deleting {
            began: walk.began,
            deleted: 0,
        };
        Ok(Next::paced(began))
    }

    async fn delete(&mut self, walk: OffsetDateTime, deleted: u64) -> Result<Next, Error> {
        let began = Instant::now();
        // Another coordinator's walk may have found too many orphans meanwhile.
        if !standing(&self.store, &self.blobs).await?.may_delete()
            || self.store.sweep_stopped().await?
        {
            return self.end(walk).await;
        }
        let due = self.store.sweep_due(walk, self.grace, DELETED).await?;
        let all: Vec<String> = due.iter().map(|blob| blob.key.clone()).collect();
        let gone: Vec<bool> = stream::iter(due)
            .map(|blob| self.delete_one(blob))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        self.store.sweep_forget(&all).await?;
        let gone = gone.into_iter().filter(|gone| *gone).count() as u64;
        metrics::counter!("limekiln_swept_total").increment(gone);
        let deleted = deleted + gone;
        if all.len() == DELETED as usize {
            self.store.walk_seen(walk, true).await?;
            self.phase = Phase::Deleting {
                began: walk,
                deleted,
            };
            return Ok(Next::paced(began));
        }
        let uploads = self.uploads_abort().await?;
        if deleted + uploads > 0 {
            tracing::info!(blobs = deleted, uploads, "swept what no row refers to");
        }
        self.end(walk).await
    }

    async fn end(&mut self, walk: OffsetDateTime) -> Result<Next, Error> {
        self.store.walk_seen(walk, false).await?;
        self.phase = Phase::Waiting;
        Ok(self.idle())
    }

    /// Deletes a candidate, unless it is none any more. Whether it was deleted.
    async fn delete_one(&self, blob: WalkedBlob) -> Result<bool, Error> {
        let key: Key = blob.key.parse()?;
        let unreferenced = self.store.blobs_unreferenced(&[blob.key]).await?;
        if unreferenced.is_empty() {
            return Ok(false);
        }
        let modified = self.blobs.head(&key).await?.and_then(|head| head.modified);
        if modified.map(OffsetDateTime::unix_timestamp) != Some(blob.modified_s) {
            return Ok(false);
        }
        self.blobs.delete(&[key]).await?;
        Ok(true)
    }

    async fn uploads_abort(&self) -> Result<u64, Error> {
        let before = self.store.now().await? - self.grace;
        let aborted = self
            .blobs
            .uploads_abort(&Prefix::tenants(), before, UPLOADS)
            .await;
        Ok(aborted.unwrap_or_else(|error| {
            // Not every server can list them. The walk is done all the same.
            tracing::warn!(%error, "unfinished uploads were not ended");
            0
        }))
    }
}

impl ControlLoop for Sweep {
    const NAME: &'static str = "sweep";
    const ROUND_TIMEOUT: Duration = Duration::from_secs(300);

    async fn round(&mut self) -> Result<Next, Error> {
        // A round that fails changes no phase, so the next one does the same again.
        match self.phase.clone() {
            Phase::Started => {
                self.phase = Phase::Waiting;
                Ok(self.idle())
            }
            Phase::Waiting => self.begin().await,
            Phase::Walking(walk) => self.walk(walk).await,
            Phase::Deleting { began, deleted } => self.delete(began, deleted).await,
        }
    }
}

/// A listed blob as the store takes it; none without a time, by which a blob written again could be told.
fn walked(blob: &Listed) -> Option<WalkedBlob> {
    Some(WalkedBlob {
        key: blob.key.to_string(),
        modified_s: blob.modified?.unix_timestamp(),
    })
}
