//! One reader of one edit's events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use limekiln_broker::{Subscription, Update};
use limekiln_jobs::retry::{Backoff, Policy};
use limekiln_jobs::{EditEvent, EditId, Live};

use super::heads::Head;
use crate::State;

/// Events read from Postgres at once.
const PAGE: u32 = 256;
/// How reads of Postgres that fail in a row are tried again before the stream ends; its reader then comes back.
const RETRY: Policy = Policy::new(Duration::from_millis(200), Duration::from_millis(6400)).tries(7);

/// What a watcher hears.
pub(crate) enum Heard {
    /// The next event.
    Event(Arc<EditEvent>),
    /// A small picture of how far it is.
    Preview(Arc<Live>),
}

/// Every event of an edit after a given one, once each and in order.
pub(crate) struct Watcher {
    state: State,
    edit: EditId,
    /// Number of the last event that was given out.
    sent: u64,
    read: VecDeque<EditEvent>,
    /// Postgres has, or may have, events that were not given out.
    behind: bool,
    /// The last event was given out.
    ended: bool,
    backoff: Backoff,
    subscription: Option<Subscription>,
    head: Head,
}

impl Watcher {
    /// Watches from now on, and reads what was before.
    pub(crate) async fn start(state: &State, edit: EditId, sent: u64) -> Self {
        let subscription = Some(state.broker().subscribe(edit).await);
        let head = state.heads().register(state, edit);
        metrics::gauge!("limekiln_watchers_open").increment(1);
        Self {
            state: state.clone(),
            edit,
            sent,
            read: VecDeque::new(),
            behind: true,
            ended: false,
            backoff: RETRY.start(),
            subscription,
            head,
        }
    }

    /// What comes next; nothing after the edit's last event, at the end of the gateway, or when Postgres stays away.
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(event) = self.read.pop_front() {
                if event.seq <= self.sent {
                    continue;
                }
                metrics::counter!("limekiln_watched_events_total", "source" => "read").increment(1);
                return Some(self.given(Arc::new(event)));
            }
            if self.ended && !self.behind {
                return None;
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            match self.hear().await? {
                Update::Lagged => self.behind = true,
                Update::Live(live) => match &*live {
                    Live::Preview { .. } => return Some(Heard::Preview(live)),
                    Live::Event(event) if event.seq == self.sent + 1 => {
                        metrics::counter!("limekiln_watched_events_total", "source" => "live")
                            .increment(1);
                        return Some(self.given(Arc::new(event.clone())));
                    }
                    Live::Event(event) => self.behind |= event.seq > self.sent,
                },
            }
        }
    }

    fn given(&mut self, event: Arc<EditEvent>) -> Heard {
        self.sent = event.seq;
        // A retry by hand goes on after an end.
        self.ended = event.kind.is_terminal() && self.read.is_empty();
        Heard::Event(event)
    }

    /// Reads what Postgres has after the last event given out.
    async fn catch_up(&mut self) -> Option<()> {
        let closing = self.state.closing().clone();
        let read = tokio::select! {
            () = closing.cancelled() => return None,
            read = self.state.store().events_after(self.edit, self.sent, PAGE) => read,
        };
        match read {
            Ok(events) => {
                self.backoff.reset();
                self.behind = events.len() == PAGE as usize;
                self.read.extend(events);
                Some(())
            }
            Err(error) => {
                let Some(delay) = self.backoff.after(&error) else {
                    tracing::warn!(%error, edit = %self.edit, "events can't be read; the stream ends");
                    return None;
                };
                tracing::debug!(%error, edit = %self.edit, "events can't be read; trying again");
                tokio::select! {
                    () = closing.cancelled() => None,
                    () = tokio::time::sleep(delay) => Some(()),
                }
            }
        }
    }

    /// Waits for the broker, or for the poller that reads heads in case the broker lost something.
    async fn hear(&mut self) -> Option<Update> {
        let sent = self.sent;
        let subscription = async {
            match &mut self.subscription {
                Some(subscription) => subscription.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.state.closing().cancelled() => None,
            seen = subscription => {
                if seen.is_none() {
                    // The broker's handle was closed: the poller is enough, if slow.
                    self.subscription = None;
                }
                Some(seen.unwrap_or(Update::Lagged))
            }
            () = self.head.above(sent) => Some(Update::Lagged),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        metrics::gauge!("limekiln_watchers_open").decrement(1);
    }
}
