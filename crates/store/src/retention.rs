//! What may be forgotten. Never what an unfinished edit or a live session needs.

use std::time::Duration;

use crate::{Result, Store};

impl Store {
    /// Deletes up to `limit` events of edits that ended longer than `age` ago.
    pub async fn events_prune(&self, age: Duration, limit: u32) -> Result<u64> {
        let _ = (age, limit);
        todo!()
    }

    /// Deletes up to `limit` edits that ended longer than `age` ago, with their events and artifacts. An edit that
    /// others build on goes after those; an edit of a session used within `age` stays.
    pub async fn edits_prune(&self, age: Duration, limit: u32) -> Result<u64> {
        let _ = (age, limit);
        todo!()
    }

    /// Deletes up to `limit` image rows not uploaded or used within `age` that no edit refers to any more; returns the
    /// keys of their blobs. Delete blobs through [`Store::blobs_unreferenced`], and only when they are old: the same
    /// image may be coming in again.
    pub async fn images_expire(&self, age: Duration, limit: u32) -> Result<Vec<String>> {
        let _ = (age, limit);
        todo!()
    }

    /// Drops checkpoints of up to `limit` ended edits; returns the keys of their blobs, which nothing refers to now.
    pub async fn checkpoints_expire(&self, age: Duration, limit: u32) -> Result<Vec<String>> {
        let _ = (age, limit);
        todo!()
    }

    /// Deletes delivered and given up webhooks older than `age`.
    pub async fn webhooks_prune(&self, age: Duration, limit: u32) -> Result<u64> {
        let _ = (age, limit);
        todo!()
    }

    /// Deletes workers not heard of for `age`.
    pub async fn workers_prune(&self, age: Duration) -> Result<u64> {
        let _ = age;
        todo!()
    }

    /// Those of `keys` that no row refers to.
    pub async fn blobs_unreferenced(&self, keys: &[String]) -> Result<Vec<String>> {
        let _ = keys;
        todo!()
    }
}
