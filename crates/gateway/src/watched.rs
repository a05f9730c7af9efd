//! What open streams wait to hear of Postgres. One task asks about all of it, a statement for many, as long as there is any.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Most keys that one question is about.
const BATCH: usize = 1000;

/// What is asked, and where the answers go.
pub(crate) trait Question: Send + Sync + Sized + 'static {
    /// What is asked about.
    type Key: Copy + Debug + Eq + Hash + Send + Sync + 'static;
    /// Where those who wait for one key hear of it.
    type Slot: Default + Send + 'static;

    /// Asks about these keys, and tells the slots of those that are still watched.
    fn ask(
        &self,
        watched: &Watched<Self>,
        keys: &[Self::Key],
    ) -> impl Future<Output = limekiln_store::Result<()>> + Send;
}

/// The keys that are watched.
pub(crate) struct Watched<Q: Question>(Arc<Inner<Q>>);

struct Inner<Q: Question> {
    question: Q,
    interval: Duration,
    closing: CancellationToken,
    entries: Mutex<Entries<Q>>,
}

struct Entries<Q: Question> {
    by_key: HashMap<Q::Key, Entry<Q::Slot>>,
    /// Number of the newest entry. A key that was forgotten and came again is another entry.
    newest: u64,
    polling: bool,
}

struct Entry<S> {
    number: u64,
    slot: S,
    watchers: usize,
}

/// One watcher of a key. Dropping it ends the watch.
pub(crate) struct Watcher<Q: Question> {
    watched: Watched<Q>,
    key: Q::Key,
    number: u64,
}

impl<Q: Question> Clone for Watched<Q> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q: Question> Watched<Q> {
    /// Asks every `interval`, until `closing`.
    pub(crate) fn new(question: Q, interval: Duration, closing: CancellationToken) -> Self {
        let entries = Entries {
            by_key: HashMap::new(),
            newest: 0,
            polling: false,
        };
        Self(Arc::new(Inner {
            question,
            interval,
            closing,
            entries: Mutex::new(entries),
        }))
    }

    /// Asks about this key from now on, until the watcher is dropped. Also gives what `hear` takes from the key's slot.
    pub(crate) fn watch<R>(
        &self,
        key: Q::Key,
        hear: impl FnOnce(&Q::Slot) -> R,
    ) -> (Watcher<Q>, R) {
        let mut guard = self.lock();
        let entries = &mut *guard;
        let entry = entries.by_key.entry(key).or_insert_with(|| {
            entries.newest += 1;
            Entry {
                number: entries.newest,
                slot: Q::Slot::default(),
                watchers: 0,
            }
        });
        entry.watchers += 1;
        let (number, heard) = (entry.number, hear(&entry.slot));
        if !entries.polling {
            entries.polling = true;
            tokio::spawn(self.clone().run());
        }
        let watched = self.clone();
        (
            Watcher {
                watched,
                key,
                number,
            },
            heard,
        )
    }

    /// Tells those who watch this key, if there are any.
    pub(crate) fn tell(&self, key: &Q::Key, tell: impl FnOnce(&Q::Slot)) {
        if let Some(entry) = self.lock().by_key.get(key) {
            tell(&entry.slot);
        }
    }

    /// Stops asking about this key; its slot, and how many watched it. Whoever comes with the key later is asked about anew.
    pub(crate) fn forget(&self, key: &Q::Key) -> Option<(Q::Slot, usize)> {
        let entry = self.lock().by_key.remove(key)?;
        Some((entry.slot, entry.watchers))
    }

    fn lock(&self) -> MutexGuard<'_, Entries<Q>> {
        self.0
            .entries
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
                if let Err(error) = self.0.question.ask(&self, batch).await {
                    tracing::debug!(%error, first = ?batch[0], "what streams wait for can't be read");
                    break;
                }
            }
        }
    }

    /// The watched keys. `None` when there are none any more: the task then ends.
    fn keys(&self) -> Option<Vec<Q::Key>> {
        let mut entries = self.lock();
        entries.polling = !entries.by_key.is_empty();
        entries
            .polling
            .then(|| entries.by_key.keys().copied().collect())
    }
}

impl<Q: Question> Drop for Watcher<Q> {
    fn drop(&mut self) {
        let mut entries = self.watched.lock();
        if let Some(entry) = entries.by_key.get_mut(&self.key)
            && entry.number == self.number
        {
            entry.watchers -= 1;
            if entry.watchers == 0 {
                entries.by_key.remove(&self.key);
            }
        }
    }
}
