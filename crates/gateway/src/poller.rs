//! Polls Postgres for the newest event of each watched edit, in case the broker lost live events.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::EditId;
use limekiln_store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::watched::{Question, Watched, Watcher};

/// The newest event of an edit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    seq: u64,
    /// Whether the edit has ended. A kind of a newer version does not tell that.
    ended: bool,
}

/// Of an edit that was deleted.
const GONE: Head = Head {
    seq: u64::MAX,
    ended: true,
};

/// The edits that are watched.
#[derive(Clone)]
pub(crate) struct Poller(Watched<Newest>);

/// Asks for the newest events.
struct Newest(Store);

/// Number of the newest event of one edit. Dropping it ends the subscription.
pub(crate) struct NewestSeq {
    _watcher: Watcher<Newest>,
    newest: watch::Receiver<Head>,
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
    type Slot = watch::Sender<Head>;

    /// Those that were asked for and have no number were deleted.
    async fn ask(&self, watched: &Watched<Self>, edits: &[EditId]) -> limekiln_store::Result<()> {
        let heads = self.0.events_heads(edits).await?.into_iter();
        let heads: HashMap<EditId, Head> = heads
            .map(|(edit, seq, ended)| (edit, Head { seq, ended }))
            .collect();
        for edit in edits {
            let head = heads.get(edit).copied().unwrap_or(GONE);
            watched.tell(edit, |newest| {
                newest.send_if_modified(|newest| {
                    let newer = head.seq > newest.seq;
                    if newer {
                        *newest = head;
                    }
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

    /// Returns once there is an event with a number above `sent`, or that one was the edit's last: whether it was. Cancel safe.
    pub(crate) async fn after(&mut self, sent: u64) -> bool {
        let told = |newest: &Head| newest.seq > sent || newest.seq == sent && newest.ended;
        let told = self.newest.wait_for(told).await;
        match told.map(|newest| newest.seq == sent) {
            Ok(last) => last,
            // The sender stays in its slot as long as this subscription lives, so waiting can't fail.
            Err(_) => std::future::pending().await,
        }
    }
}
