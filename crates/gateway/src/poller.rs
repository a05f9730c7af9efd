//! Polls Postgres for the newest event of each watched edit, in case the broker lost live events.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::EditId;
use limekiln_store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::watched::{Question, Watched, Watcher};

/// The number of the newest event of an edit that was deleted.
const GONE: u64 = u64::MAX;

/// The edits that are watched.
#[derive(Clone)]
pub(crate) struct Poller(Watched<Newest>);

/// Asks for the numbers of the newest events.
struct Newest(Store);

/// Number of the newest event of one edit. Dropping it ends the subscription.
pub(crate) struct NewestSeq {
    _watcher: Watcher<Newest>,
    newest: watch::Receiver<u64>,
}

impl Poller {
    /// A poller that asks every `interval`, until `closing`.
    pub(crate) fn new(store: Store, interval: Duration, closing: CancellationToken) -> Self {
        Self(Watched::new(Newest(store), interval, closing))
    }

    /// Asks about this edit from now on.
    pub(crate) fn subscribe(&self, edit: EditId) -> NewestSeq {
        let (watcher, newest) = self.0.watch(edit, watch::Sender::subscribe);
        NewestSeq {
            _watcher: watcher,
            newest,
        }
    }
}

impl Question for Newest {
    type Key = EditId;
    type Slot = watch::Sender<u64>;

    /// Those that were asked for and have no number were deleted.
    async fn ask(&self, watched: &Watched<Self>, edits: &[EditId]) -> limekiln_store::Result<()> {
        let numbers: HashMap<EditId, u64> = self.0.events_heads(edits).await?.into_iter().collect();
        for edit in edits {
            let seq = numbers.get(edit).copied().unwrap_or(GONE);
            watched.tell(edit, |newest| {
                newest.send_if_modified(|newest| {
                    let newer = seq > *newest;
                    *newest = (*newest).max(seq);
                    newer
                });
            });
        }
        Ok(())
    }
}

impl NewestSeq {
    /// Whether the edit was deleted: it has no more events.
    pub(crate) fn is_gone(&self) -> bool {
        *self.newest.borrow() == GONE
    }

    /// Returns once there is an event with a number above `sent`. Cancel safe.
    pub(crate) async fn above(&mut self, sent: u64) {
        // The sender stays in its slot as long as this subscription lives, so waiting can't fail.
        if self.newest.wait_for(|newest| *newest > sent).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
