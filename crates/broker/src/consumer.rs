//! Edits to do.

use std::fmt;

use crate::{Hint, local, rabbit};

/// Takes announced edits of one model, interactive ones first. See [`Broker::consume`](crate::Broker::consume).
///
/// Holds at most `slots + 1` unsettled deliveries of each class. Survives a lost connection by consuming again: what
/// was unsettled comes once more, to some consumer. Dropping it gives back what was not handed out.
#[derive(Debug)]
pub struct Consumer(pub(crate) Taker);

#[derive(Debug)]
pub(crate) enum Taker {
    Local(local::Taker),
    Rabbit(rabbit::Taker),
}

impl Consumer {
    /// Waits for the next edit; for ever while paused. `None` when the broker handle was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        match &mut self.0 {
            Taker::Local(taker) => taker.next().await,
            Taker::Rabbit(taker) => taker.next().await,
        }
    }

    /// How many edits [`next`](Self::next) would give at once.
    #[must_use]
    pub fn ready(&self) -> usize {
        match &self.0 {
            Taker::Local(taker) => taker.ready(),
            Taker::Rabbit(taker) => taker.ready(),
        }
    }

    /// Stops taking, and gives back what was not handed out by [`next`](Self::next). Deliveries already handed out
    /// can still be settled. Returns when the broker knows, or after a bounded time.
    pub async fn pause(&mut self) {
        match &mut self.0 {
            Taker::Local(taker) => taker.pause(),
            Taker::Rabbit(taker) => taker.pause().await,
        }
    }

    /// Takes again after a [`pause`](Self::pause).
    pub fn resume(&mut self) {
        match &mut self.0 {
            Taker::Local(taker) => taker.resume(),
            Taker::Rabbit(taker) => taker.resume(),
        }
    }

    /// Waits, for a bounded time, until every settlement made so far was written to the broker. For shutdown.
    pub async fn flush(&self) {
        match &self.0 {
            Taker::Local(_) => {}
            Taker::Rabbit(taker) => taker.flush().await,
        }
    }
}

/// One announced edit. Settle it with [`ack`](Self::ack), [`requeue`](Self::requeue) or [`reject`](Self::reject);
/// dropped unsettled, it goes back to its queue.
///
/// Settling never waits and never fails: a settlement that doesn't reach the broker is counted, and the edit comes again.
pub struct Delivery {
    /// The edit.
    pub hint: Hint,
    /// Whether it was delivered before.
    pub redelivered: bool,
    settle: Option<Box<dyn Settle>>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ack,
    Requeue,
    Reject,
}

/// The way back from a delivery to its queue.
pub(crate) trait Settle: Send + Sync {
    fn settle(self: Box<Self>, hint: &Hint, verdict: Verdict);
}

impl Delivery {
    pub(crate) fn new(hint: Hint, redelivered: bool, settle: impl Settle + 'static) -> Self {
        Self {
            hint,
            redelivered,
            settle: Some(Box::new(settle)),
        }
    }

    /// Done with, for good: its outcome is in Postgres, or it can't be claimed.
    pub fn ack(mut self) {
        self.settle(Verdict::Ack);
    }

    /// Back to its queue, for another worker. After 20 times the message goes to the dead letters.
    pub fn requeue(mut self) {
        self.settle(Verdict::Requeue);
    }

    /// To the dead letters.
    pub fn reject(mut self) {
        self.settle(Verdict::Reject);
    }

    fn settle(&mut self, verdict: Verdict) {
        if let Some(settle) = self.settle.take() {
            settle.settle(&self.hint, verdict);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.settle(Verdict::Requeue);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("hint", &self.hint)
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}
