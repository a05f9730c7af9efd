//! API keys that were found lately, so that not every request asks Postgres.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use limekiln_store::Caller;

/// Most keys that are remembered.
const KEYS_MAX: usize = 10_000;

/// Keys by their hash. Unknown ones are not remembered: anybody could fill the memory with them.
pub(crate) struct KeyCache {
    ttl: Duration,
    callers: Mutex<HashMap<blake3::Hash, (Caller, Instant)>>,
}

impl KeyCache {
    /// Remembers each key for `ttl`.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            callers: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, secret: &str) -> Option<Caller> {
        let callers = self.lock();
        let (caller, found) = callers.get(&blake3::hash(secret.as_bytes()))?;
        (found.elapsed() < self.ttl).then(|| caller.clone())
    }

    pub(crate) fn insert(&self, secret: &str, caller: Caller) {
        let mut callers = self.lock();
        if callers.len() >= KEYS_MAX {
            callers.clear();
        }
        callers.insert(blake3::hash(secret.as_bytes()), (caller, Instant::now()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<blake3::Hash, (Caller, Instant)>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
