//! Polls Postgres for the newest event of each watched session, in case the broker lost live events.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::SessionId;
use limekiln_store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::watched::{Question, Watched, Watcher};

/// Number of the newest event of a session that was deleted.
const GONE: u64 = u64::MAX;

/// The sessions that are watched.
#[derive(Clone)]
pub(crate) struct SessionPoller(Watched<Newest>);

/// Asks for the newest events.
struct Newest(Store);

/// Number of the newest event of one session. Dropping it ends the subscription.
pub(super) struct NewestEvent {
    _watcher: Watcher<Newest>,
    newest: watch::Receiver<u64>,
}

impl SessionPoller {
    /// A poller that asks every `interval`, until `closing`.
    pub(crate) fn new(store: Store, interval: Duration, closing: CancellationToken) -> Self {
        Self(Watched::new(Newest(store), interval, closing))
    }

    /// Asks about this session from now on.
    pub(super) fn subscribe(&self, session: SessionId) -> NewestEvent {
        let (watcher, newest) = self.0.watch(session, watch::Sender::subscribe);
        NewestEvent {
            _watcher: watcher,
            newest,
        }
    }
}

impl Question for Newest {
    type Key = SessionId;
    type Slot = watch::Sender<u64>;

    /// Those that were asked for and have no number were deleted.
    async fn ask(
        &self,
        watched: &Watched<Self>,
        sessions: &[SessionId],
    ) -> limekiln_store::Result<()> {
        let heads = self.0.session_events_heads(sessions).await?;
        let heads: HashMap<SessionId, u64> = heads.into_iter().collect();
        for session in sessions {
            let head = heads.get(session).copied().unwrap_or(GONE);
            watched.tell(session, |newest| {
                newest
                    .send_if_modified(|newest| head > std::mem::replace(newest, head.max(*newest)));
            });
        }
        Ok(())
    }
}

impl NewestEvent {
    /// Returns once there is an event with a number above `sent`: whether the session is gone. Cancel safe.
    pub(super) async fn after(&mut self, sent: u64) -> bool {
        let told = self.newest.wait_for(|newest| *newest > sent).await;
        match told.map(|newest| *newest == GONE) {
            Ok(gone) => gone,
            // The sender stays in its slot as long as this subscription lives, so waiting can't fail.
            Err(_) => std::future::pending().await,
        }
    }
}
