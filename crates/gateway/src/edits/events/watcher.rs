//! One reader of one edit's events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use limekiln_broker::{Subscription, Update};
use limekiln_jobs::retry::{Backoff, Policy};
use limekiln_jobs::{EditEvent, EditId, Live};

use crate::State;
use crate::poller::NewestSeq;

/// Most events that are read at once.
const PAGE: u32 = 256;
/// How reads of Postgres that fail in a row are tried again before the stream ends; its reader then connects again.
const RETRY: Policy = Policy::new(Duration::from_millis(200), Duration::from_millis(6400)).tries(7);

/// What a watcher gives out.
pub(crate) enum Message {
    /// The next event.
    Event(EditEvent),
    /// A small picture of how far the edit is.
    Preview(Arc<Live>),
}

/// Gives out every event of an edit after a given one, each once and in order.
pub(crate) struct Watcher {
    state: State,
    edit: EditId,
    /// Number of the event that was given out last.
    sent: u64,
    /// Events that were read from Postgres and not given out yet.
    read: VecDeque<EditEvent>,
    /// Whether Postgres may have events that were not read yet.
    behind: bool,
    /// Whether the edit's last event was given out.
    ended: bool,
    backoff: Backoff,
    subscription: Option<Subscription>,
    newest: NewestSeq,
}

impl Watcher {
    /// Subscribes, and has what happened before read from Postgres.
    pub(crate) async fn start(state: &State, edit: EditId, sent: u64) -> Self {
        let subscription = Some(state.services.broker.subscribe(edit).await);
        let newest = state.poller.subscribe(edit);
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
            newest,
        }
    }

    /// The next update. `None` after the edit's last event, when it was deleted, when the gateway stops, and when Postgres stays away.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(event) = self.read.pop_front() {
                if event.seq <= self.sent {
                    continue;
                }
                metrics::counter!("limekiln_watched_events_total", "source" => "read").increment(1);
                return Some(self.deliver(event));
            }
            if self.ended && !self.behind {
                return None;
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            match self.wait().await? {
                Update::Lagged => self.behind = true,
                Update::Live(live) => match &*live {
                    Live::Preview { .. } => return Some(Message::Preview(live)),
                    Live::Event(event) if event.seq == self.sent + 1 => {
                        metrics::counter!("limekiln_watched_events_total", "source" => "live")
                            .increment(1);
                        return Some(self.deliver(event.clone()));
                    }
                    Live::Event(event) => self.behind |= event.seq > self.sent,
                    Live::Session { .. } => {}
                },
            }
        }
    }

    fn deliver(&mut self, event: EditEvent) -> Message {
        self.sent = event.seq;
        // An edit that an operator retried has events after an end.
        self.ended = event.kind.is_terminal() && self.read.is_empty();
        Message::Event(event)
    }

    /// Reads the events after the one given out last. `None` when the stream has to end.
    async fn catch_up(&mut self) -> Option<()> {
        let closing = self.state.closing.clone();
        let read = tokio::select! {
            () = closing.cancelled() => return None,
            read = self.state.services.store.events_after(self.edit, self.sent, PAGE) => read,
        };
        match read {
            Ok(events) if events.is_empty() && self.newest.is_gone() => None,
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

    /// Waits for the broker, and for the poller in case the broker loses something. `None` when the stream has to end.
    async fn wait(&mut self) -> Option<Update> {
        let sent = self.sent;
        let told = async {
            match &mut self.subscription {
                Some(subscription) => subscription.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.state.closing.cancelled() => None,
            update = told => {
                if update.is_none() {
                    // The broker was closed: the poller alone is slower and enough.
                    self.subscription = None;
                }
                Some(update.unwrap_or(Update::Lagged))
            }
            last = self.newest.after(sent) => (!last).then_some(Update::Lagged),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        metrics::gauge!("limekiln_watchers_open").decrement(1);
    }
}
