//! Edits to do.

use crate::Hint;

/// Takes announced edits of one model, interactive ones first. See [`Broker::consume`](crate::Broker::consume).
///
/// Holds at most `slots + 1` unsettled deliveries of each class. Survives a lost connection by consuming again: what
/// was unsettled comes once more, to some consumer. Dropping it gives back what was not handed out.
#[derive(Debug)]
pub struct Consumer;

impl Consumer {
    /// Waits for the next edit; for ever while paused. `None` when the broker handle was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        todo!()
    }

    /// Stops taking, and gives back what was not handed out by [`next`](Self::next). Deliveries already handed out
    /// can still be settled. Returns when the broker knows, or after a bounded time.
    pub async fn pause(&mut self) {
        todo!()
    }

    /// Takes again after a [`pause`](Self::pause).
    pub fn resume(&mut self) {
        todo!()
    }

    /// Waits, for a bounded time, until every settlement made so far was written to the broker. For shutdown.
    pub async fn flush(&self) {
        todo!()
    }
}

/// One announced edit. Settle it with [`ack`](Self::ack), [`requeue`](Self::requeue) or [`reject`](Self::reject);
/// dropped unsettled, it goes back to its queue.
///
/// Settling never waits and never fails: a settlement that doesn't reach the broker is counted, and the edit comes again.
#[derive(Debug)]
pub struct Delivery {
    /// The edit.
    pub hint: Hint,
    /// Whether it was delivered before.
    pub redelivered: bool,
}

impl Delivery {
    /// Done with, for good: its outcome is in Postgres, or it can't be claimed.
    pub fn ack(self) {
        todo!()
    }

    /// Back to its queue, for another worker. After 20 times the message goes to the dead letters.
    pub fn requeue(self) {
        todo!()
    }

    /// To the dead letters.
    pub fn reject(self) {
        todo!()
    }
}
