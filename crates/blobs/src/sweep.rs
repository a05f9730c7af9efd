use std::time::Duration;

use time::OffsetDateTime;

use crate::{Blobs, Key, Prefix, Result};

/// One listed blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was stored.
    pub modified: Option<OffsetDateTime>,
}

/// Some of a listing, in the order of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What was found.
    pub blobs: Vec<Listed>,
    /// Where to go on (`after`); none at the end.
    pub next: Option<String>,
}

impl Blobs {
    /// Up to `limit` (at most 1,000) blobs under the prefix, after the key `after`. Keys that are not ours are left out.
    pub async fn list(&self, _prefix: &Prefix, _after: Option<&str>, _limit: u16) -> Result<Page> {
        todo!()
    }

    /// Deletes blobs, 1,000 a request; those that are gone already are no error.
    pub async fn delete(&self, _keys: &[Key]) -> Result<()> {
        todo!()
    }

    /// Ends uploads in parts that began more than `age` ago and were never finished; says how many. At most `limit`.
    pub async fn uploads_abort(&self, _age: Duration, _limit: u16) -> Result<u64> {
        todo!()
    }
}
