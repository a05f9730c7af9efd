//! API keys that were looked up lately, so that not every request asks Postgres.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use limekiln_store::{Caller, Store};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

/// Most keys that are remembered, and as many that nobody has.
const KEYS_MAX: usize = 10_000;
/// Lookups at once: keys that somebody makes up must not take all connections to Postgres.
const LOOKUPS: usize = 4;

/// Keys by their hash. Made-up ones have a room of their own, so that they push no real one out.
pub(crate) struct KeyCache {
    ttl: Duration,
    lookups: Semaphore,
    found: Remembered<Caller>,
    unknown: Remembered<()>,
}

impl KeyCache {
    /// Remembers each key for `ttl`.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            lookups: Semaphore::new(LOOKUPS),
            found: Remembered::default(),
            unknown: Remembered::default(),
        }
    }

    /// Who this secret belongs to; `None` when it is unknown, revoked or expired.
    pub(crate) async fn find(
        &self,
        store: &Store,
        secret: &str,
    ) -> limekiln_store::Result<Option<Caller>> {
        let hash = blake3::hash(secret.as_bytes());
        if let Some(known) = self.remembered(&hash) {
            return Ok(known);
        }
        // Never closed, so that no permit is a defect and no reason to refuse anybody.
        let _lookup = self.lookups.acquire().await.ok();
        // Whoever waited with the same key before has found it.
        if let Some(known) = self.remembered(&hash) {
            return Ok(known);
        }
        let found = store.key_find(secret).await?;
        match &found {
            Some(caller) => self.found.insert(hash, caller.clone(), self.ttl),
            None => self.unknown.insert(hash, (), self.ttl),
        }
        Ok(found)
    }

    /// Who a link belongs to, which is spent with that.
    pub(crate) async fn spend(
        &self,
        store: &Store,
        secret: &str,
    ) -> limekiln_store::Result<Option<Caller>> {
        let _lookup = self.lookups.acquire().await.ok();
        store.sign_in_spend(secret).await
    }

    /// Forgets a secret, so that it is looked up at its next use.
    pub(crate) fn forget(&self, secret: &str) {
        self.found.remove(&blake3::hash(secret.as_bytes()));
    }

    fn remembered(&self, hash: &blake3::Hash) -> Option<Option<Caller>> {
        if let Some(caller) = self.found.get(hash, self.ttl) {
            let now = OffsetDateTime::now_utc();
            return Some(Some(caller).filter(|caller| caller.expires_at.is_none_or(|at| at > now)));
        }
        self.unknown.get(hash, self.ttl).map(|()| None)
    }
}

/// A bounded number of things for a bounded time.
struct Remembered<T>(Mutex<HashMap<blake3::Hash, (T, Instant)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    fn get(&self, hash: &blake3::Hash, ttl: Duration) -> Option<T> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, since) = entries.get(hash)?;
        (since.elapsed() < ttl).then(|| value.clone())
    }

    fn remove(&self, hash: &blake3::Hash) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(hash);
    }

    fn insert(&self, hash: blake3::Hash, value: T, ttl: Duration) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= KEYS_MAX {
            entries.retain(|_, (_, since)| since.elapsed() < ttl);
        }
        if entries.len() >= KEYS_MAX {
            entries.clear();
        }
        entries.insert(hash, (value, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_that_is_remembered_is_bounded() {
        let remembered = Remembered::default();
        for number in 0..3 * KEYS_MAX as u64 {
            remembered.insert(blake3::hash(&number.to_le_bytes()), (), Duration::MAX);
            assert!(remembered.0.lock().unwrap().len() <= KEYS_MAX);
        }
        let last = blake3::hash(&(3 * KEYS_MAX as u64 - 1).to_le_bytes());
        assert!(remembered.get(&last, Duration::MAX).is_some());
        assert!(remembered.get(&last, Duration::ZERO).is_none());
    }
}
