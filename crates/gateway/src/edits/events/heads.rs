//! Numbers of the newest events of all watched edits, read in one statement: what no broker tells, Postgres does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limekiln_jobs::EditId;
use tokio::sync::watch;

use crate::State;

/// Edits asked about in one statement.
const BATCH: usize = 1000;

/// The watched edits. The poller lives as long as there are any.
#[derive(Clone, Default)]
pub(crate) struct Heads(Arc<Mutex<Watched>>);

#[derive(Default)]
struct Watched {
    edits: HashMap<EditId, Slot>,
    polling: bool,
}

struct Slot {
    newest: watch::Sender<u64>,
    watchers: usize,
}

/// The newest number of one edit; dropping it ends the interest.
pub(crate) struct Head {
    heads: Heads,
    edit: EditId,
    newest: watch::Receiver<u64>,
}

impl Heads {
    /// Asks about this edit from now on.
    pub(crate) fn register(&self, state: &State, edit: EditId) -> Head {
        let mut watched = self.lock();
        let slot = watched.edits.entry(edit).or_insert_with(|| Slot {
            newest: watch::channel(0).0,
            watchers: 0,
        });
        slot.watchers += 1;
        let newest = slot.newest.subscribe();
        if !watched.polling {
            watched.polling = true;
            tokio::spawn(poll(self.clone(), state.clone()));
        }
        Head {
            heads: self.clone(),
            edit,
            newest,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watched edits; none, and the poller's end, when there are none.
    fn edits(&self) -> Option<Vec<EditId>> {
        let mut watched = self.lock();
        watched.polling = !watched.edits.is_empty();
        watched
            .polling
            .then(|| watched.edits.keys().copied().collect())
    }

    fn newer(&self, heads: &[(EditId, u64)]) {
        let watched = self.lock();
        for (edit, seq) in heads {
            if let Some(slot) = watched.edits.get(edit) {
                slot.newest.send_if_modified(|newest| {
                    let newer = *seq > *newest;
                    *newest = (*newest).max(*seq);
                    newer
                });
            }
        }
    }
}

async fn poll(heads: Heads, state: State) {
    loop {
        tokio::select! {
            () = state.closing().cancelled() => return,
            () = tokio::time::sleep(state.settings().timeouts.poll) => {}
        }
        let Some(edits) = heads.edits() else { return };
        for batch in edits.chunks(BATCH) {
            match state.store().events_heads(batch).await {
                Ok(found) => heads.newer(&found),
                Err(error) => {
                    tracing::debug!(%error, "heads of watched edits can't be read");
                    break;
                }
            }
        }
    }
}

impl Head {
    /// Returns once there is an event with a number above `sent`. Cancel safe.
    pub(crate) async fn above(&mut self, sent: u64) {
        // Its sender lives in the map as long as this one does.
        if self.newest.wait_for(|newest| *newest > sent).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        let mut watched = self.heads.lock();
        if let Some(slot) = watched.edits.get_mut(&self.edit) {
            slot.watchers -= 1;
            if slot.watchers == 0 {
                watched.edits.remove(&self.edit);
            }
        }
    }
}
