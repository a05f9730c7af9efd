//! Polls Postgres for the newest event of each watched edit, in case the broker lost live events. One statement asks about
//! all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use limekiln_jobs::EditId;
use limekiln_store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Most edits that one statement asks about.
const BATCH: usize = 1000;
/// The number of the newest event of an edit that was deleted.
const GONE: u64 = u64::MAX;

/// The edits that are watched. Its task runs as long as there are any.
#[derive(Clone)]
pub(crate) struct Poller(Arc<Inner>);

struct Inner {
    store: Store,
    interval: Duration,
    closing: CancellationToken,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    edits: HashMap<EditId, Slot>,
    polling: bool,
}

struct Slot {
    newest: watch::Sender<u64>,
    subscribers: usize,
}

/// Number of the newest event of one edit. Dropping it ends the subscription.
pub(crate) struct NewestSeq {
    poller: Poller,
    edit: EditId,
    newest: watch::Receiver<u64>,
}

impl Poller {
    /// A poller that asks every `interval`, until `closing`.
    pub(crate) fn new(store: Store, interval: Duration, closing: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            store,
            interval,
            closing,
            watched: Mutex::default(),
        }))
    }

    /// Asks about this edit from now on.
    pub(crate) fn subscribe(&self, edit: EditId) -> NewestSeq {
        let mut watched = self.lock();
        let slot = watched.edits.entry(edit).or_insert_with(|| Slot {
            newest: watch::channel(0).0,
            subscribers: 0,
        });
        slot.subscribers += 1;
        let newest = slot.newest.subscribe();
        if !watched.polling {
            watched.polling = true;
            tokio::spawn(self.clone().run());
        }
        NewestSeq {
            poller: self.clone(),
            edit,
            newest,
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
            let Some(edits) = self.edits() else { return };
            for batch in edits.chunks(BATCH) {
                match self.0.store.events_heads(batch).await {
                    Ok(newest) => self.publish(batch, &newest),
                    Err(error) => {
                        tracing::debug!(%error, "the newest events of watched edits can't be read");
                        break;
                    }
                }
            }
        }
    }

    /// The watched edits. `None` when there are none any more: the task then ends.
    fn edits(&self) -> Option<Vec<EditId>> {
        let mut watched = self.lock();
        watched.polling = !watched.edits.is_empty();
        watched
            .polling
            .then(|| watched.edits.keys().copied().collect())
    }

    /// Those that were asked for and have no number were deleted.
    fn publish(&self, asked: &[EditId], numbers: &[(EditId, u64)]) {
        let numbers: HashMap<EditId, u64> = numbers.iter().copied().collect();
        let watched = self.lock();
        for edit in asked {
            let seq = numbers.get(edit).copied().unwrap_or(GONE);
            if let Some(slot) = watched.edits.get(edit) {
                slot.newest.send_if_modified(|newest| {
                    let newer = seq > *newest;
                    *newest = (*newest).max(seq);
                    newer
                });
            }
        }
    }
}

impl NewestSeq {
    /// Whether the edit was deleted: it has no more events.
    pub(crate) fn is_gone(&self) -> bool {
        *self.newest.borrow() == GONE
    }

    /// Returns once there is an event with a number above `sent`. Cancel safe.
    pub(crate) async fn above(&mut self, sent: u64) {
        // The sender stays in the map as long as this subscription lives, so waiting can't fail.
        if self.newest.wait_for(|newest| *newest > sent).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for NewestSeq {
    fn drop(&mut self) {
        let mut watched = self.poller.lock();
        if let Some(slot) = watched.edits.get_mut(&self.edit) {
            slot.subscribers -= 1;
            if slot.subscribers == 0 {
                watched.edits.remove(&self.edit);
            }
        }
    }
}
