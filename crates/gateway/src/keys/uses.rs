//! When keys were last used: noted at every request, written now and then by one statement for all.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use limekiln_jobs::KeyId;
use limekiln_store::Store;
use tokio_util::sync::CancellationToken;

/// Most keys that are written at once; the use of others shows a little later.
const KEYS_MAX: usize = 10_000;

/// The keys that were used since the last write. Its task runs as long as there are any.
#[derive(Clone)]
pub(crate) struct KeyUses(Arc<Inner>);

struct Inner {
    store: Store,
    interval: Duration,
    closing: CancellationToken,
    used: Mutex<HashSet<KeyId>>,
}

impl KeyUses {
    /// Writes `interval` after the first use, and when `closing`.
    pub(crate) fn new(store: Store, interval: Duration, closing: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            store,
            interval,
            closing,
            used: Mutex::default(),
        }))
    }

    /// Notes a use.
    pub(crate) fn note(&self, key: KeyId) {
        let first = {
            let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
            let first = used.is_empty();
            if used.len() < KEYS_MAX {
                used.insert(key);
            }
            first
        };
        if first {
            tokio::spawn(self.clone().write());
        }
    }

    async fn write(self) {
        tokio::select! {
            () = self.0.closing.cancelled() => {}
            () = tokio::time::sleep(self.0.interval) => {}
        }
        let used = {
            let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *used)
        };
        let used: Vec<KeyId> = used.into_iter().collect();
        if let Err(error) = self.0.store.keys_used(&used).await {
            tracing::debug!(%error, "the last use of keys can't be written; the next one will be");
        }
    }
}
