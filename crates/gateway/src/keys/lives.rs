//! Streams end with their key. One statement asks about the keys of all open streams.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use limekiln_jobs::KeyId;
use limekiln_store::Store;
use tokio_util::sync::CancellationToken;

/// The shortest pause between two questions.
const INTERVAL_MIN: Duration = Duration::from_millis(50);
/// Most keys that one statement asks about.
const BATCH: usize = 1000;

/// The keys of open streams. Its task runs as long as there are any.
#[derive(Clone)]
pub(crate) struct KeyLives(Arc<Inner>);

struct Inner {
    store: Store,
    interval: Duration,
    closing: CancellationToken,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    keys: HashMap<KeyId, Slot>,
    polling: bool,
}

struct Slot {
    ended: CancellationToken,
    streams: usize,
}

/// How long a key works, for one stream. Dropping it ends the watch.
pub(crate) struct KeyLife {
    lives: KeyLives,
    key: KeyId,
    ended: CancellationToken,
}

impl KeyLives {
    /// Asks every `interval`, until `closing`.
    pub(crate) fn new(store: Store, interval: Duration, closing: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            store,
            interval: interval.max(INTERVAL_MIN),
            closing,
            watched: Mutex::default(),
        }))
    }

    /// Asks about this key from now on.
    pub(crate) fn watch(&self, key: KeyId) -> KeyLife {
        let mut watched = self.lock();
        let slot = watched.keys.entry(key).or_insert_with(|| Slot {
            ended: CancellationToken::new(),
            streams: 0,
        });
        slot.streams += 1;
        let ended = slot.ended.clone();
        if !watched.polling {
            watched.polling = true;
            tokio::spawn(self.clone().run());
        }
        KeyLife {
            lives: self.clone(),
            key,
            ended,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self) {
        loop {
            tokio::select! {
                () = self.0.closing.cancelled() => return,
                () = tokio::time::sleep(self.0.interval) => {}
            }
            let Some(keys) = self.keys() else { return };
            for batch in keys.chunks(BATCH) {
                match self.0.store.keys_alive(batch).await {
                    Ok(alive) => self.end_others(batch, &alive),
                    Err(error) => {
                        // A key is not revoked because Postgres is away.
                        tracing::debug!(%error, "the keys of open streams can't be looked up");
                        break;
                    }
                }
            }
        }
    }

    /// The keys of open streams. `None` when there are none any more: the task then ends.
    fn keys(&self) -> Option<Vec<KeyId>> {
        let mut watched = self.lock();
        watched.polling = !watched.keys.is_empty();
        watched
            .polling
            .then(|| watched.keys.keys().copied().collect())
    }

    fn end_others(&self, asked: &[KeyId], alive: &[KeyId]) {
        let alive: HashSet<_> = alive.iter().collect();
        let mut watched = self.lock();
        for key in asked.iter().filter(|key| !alive.contains(key)) {
            // Forgotten at once: whoever comes with the same key later is asked about anew.
            if let Some(slot) = watched.keys.remove(key) {
                tracing::info!(%key, streams = slot.streams, "streams end with their key");
                slot.ended.cancel();
            }
        }
    }
}

impl KeyLife {
    /// Returns once the key is revoked or has expired. Cancel safe.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for KeyLife {
    fn drop(&mut self) {
        if self.ended.is_cancelled() {
            return;
        }
        let mut watched = self.lives.lock();
        if let Some(slot) = watched.keys.get_mut(&self.key) {
            slot.streams -= 1;
            if slot.streams == 0 {
                watched.keys.remove(&self.key);
            }
        }
    }
}
