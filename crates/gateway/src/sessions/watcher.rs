//! One reader of one session's events. As an edit's: the broker brings a hint at once and may lose some, Postgres has all events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use limekiln_broker::{Subscription, Update};
use limekiln_jobs::api::SessionEvent;
use limekiln_jobs::retry::{Backoff, Policy};
use limekiln_jobs::{Live, SessionId};

use super::poller::NewestEvent;
use crate::State;

/// Most events that are read at once.
const PAGE: u32 = 256;
/// How reads of Postgres that fail in a row are tried again before the stream ends; its reader then connects again.
const RETRY: Policy = Policy::new(Duration::from_millis(200), Duration::from_millis(6400)).tries(7);

/// What a watcher gives out.
pub(super) enum Message {
    /// The next event.
    Event(SessionEvent),
    /// A small picture of how far a turn is.
    Preview(Arc<Live>),
}

/// Gives out every event of a session after a given one, each once and in order.
pub(super) struct Watcher {
    state: State,
    session: SessionId,
    /// Number of the event that was read last.
    read_to: u64,
    /// Events that were read and not given out yet.
    read: VecDeque<SessionEvent>,
    /// Whether Postgres may have events that were not read yet.
    behind: bool,
    backoff: Backoff,
    subscription: Option<Subscription>,
    newest: NewestEvent,
}

impl Watcher {
    /// Subscribes, and has what happened before read from Postgres.
    pub(super) async fn start(state: &State, session: SessionId, sent: u64) -> Self {
        let subscription = Some(state.services.broker.subscribe(session).await);
        let newest = state.session_poller.subscribe(session);
        metrics::gauge!("limekiln_watchers_open").increment(1);
        Self {
            state: state.clone(),
            session,
            read_to: sent,
            read: VecDeque::new(),
            behind: true,
            backoff: RETRY.start(),
            subscription,
            newest,
        }
    }

    /// The next message. `None` when the session was deleted, when the gateway stops, and when Postgres stays away.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(event) = self.read.pop_front() {
                metrics::counter!("limekiln_watched_events_total", "source" => "read").increment(1);
                return Some(Message::Event(event));
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            if let Update::Live(live) = self.wait().await?
                && matches!(*live, Live::Preview { .. })
            {
                return Some(Message::Preview(live));
            }
            self.behind = true;
        }
    }

    /// Reads the events after the one read last. `None` when the stream has to end.
    async fn catch_up(&mut self) -> Option<()> {
        let closing = self.state.closing.clone();
        let store = &self.state.services.store;
        let read = tokio::select! {
            () = closing.cancelled() => return None,
            read = store.session_events_after(self.session, self.read_to, PAGE) => read,
        };
        match read {
            Ok(events) => {
                self.backoff.reset();
                self.behind = events.len() == PAGE as usize;
                self.read_to = events.last().map_or(self.read_to, |(seq, _)| *seq);
                self.read
                    .extend(events.into_iter().filter_map(|(_, event)| event));
                Some(())
            }
            Err(error) => {
                let Some(delay) = self.backoff.after(&error) else {
                    tracing::warn!(%error, session = %self.session, "events can't be read; the stream ends");
                    return None;
                };
                tokio::select! {
                    () = closing.cancelled() => None,
                    () = tokio::time::sleep(delay) => Some(()),
                }
            }
        }
    }

    /// Waits for the broker, and for the poller in case the broker loses something. `None` when the stream has to end.
    async fn wait(&mut self) -> Option<Update> {
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
            gone = self.newest.after(self.read_to) => (!gone).then_some(Update::Lagged),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        metrics::gauge!("limekiln_watchers_open").decrement(1);
    }
}
