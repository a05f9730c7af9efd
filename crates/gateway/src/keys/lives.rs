//! Streams end with their key.

use std::collections::HashSet;
use std::time::Duration;

use limekiln_jobs::KeyId;
use limekiln_store::Store;
use tokio_util::sync::CancellationToken;

use crate::watched::{Question, Watched, Watcher};

/// The shortest pause between two questions.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// The keys of open streams.
#[derive(Clone)]
pub(crate) struct KeyLives(Watched<Alive>);

/// Asks which keys still work.
struct Alive(Store);

/// How long a key works, for one stream. Dropping it ends the watch.
pub(crate) struct KeyLife {
    _watcher: Watcher<Alive>,
    ended: CancellationToken,
}

impl KeyLives {
    /// Asks every `interval`, until `closing`.
    pub(crate) fn new(store: Store, interval: Duration, closing: CancellationToken) -> Self {
        let interval = interval.max(INTERVAL_MIN);
        Self(Watched::new(Alive(store), interval, closing))
    }

    /// Asks about this key from now on.
    pub(crate) fn watch(&self, key: KeyId) -> KeyLife {
        let (watcher, ended) = self.0.watch(key, CancellationToken::clone);
        KeyLife {
            _watcher: watcher,
            ended,
        }
    }
}

impl Question for Alive {
    type Key = KeyId;
    type Slot = CancellationToken;

    /// A key is not revoked because Postgres is away: only an answer ends streams.
    async fn ask(&self, watched: &Watched<Self>, keys: &[KeyId]) -> limekiln_store::Result<()> {
        let alive: HashSet<_> = self.0.keys_alive(keys).await?.into_iter().collect();
        for key in keys.iter().filter(|key| !alive.contains(key)) {
            if let Some((ended, streams)) = watched.forget(key) {
                tracing::info!(%key, streams, "streams end with their key");
                ended.cancel();
            }
        }
        Ok(())
    }
}

impl KeyLife {
    /// Returns once the key is revoked or has expired. Cancel safe.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}
