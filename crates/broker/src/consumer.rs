//! The consumer of announced edits, on either backend.

use crate::backend::{Backend, dispatch};
use crate::{Delivery, Hint, local, rabbit};

/// Receives announced edits, interactive ones first. See [`Broker::consume`](crate::Broker::consume).
///
/// It never has more edits than slots, over all models and classes, and reads nothing while none is free: a message then goes
/// to another consumer, and which class comes next is chosen when a slot is free. A slot is free again when the delivery is
/// settled, or when the [`Slot`](crate::Slot) is dropped that was taken out of it.
///
/// It survives a lost connection by consuming again: what was unsettled is delivered once more, to some consumer. Dropping it gives
/// back what was not handed out.
#[derive(Debug)]
pub struct Consumer(pub(crate) Backend<local::Consumer, rabbit::Consumer>);

impl Consumer {
    /// Waits for the next edit, for ever while paused. `None` when the broker handle was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        dispatch!(&mut self.0, consumer => consumer.next().await)
    }

    /// How many edits [`next`](Self::next) would give without waiting.
    #[must_use]
    pub fn ready(&self) -> usize {
        dispatch!(&self.0, consumer => consumer.ready())
    }

    /// Takes an edit that was offered to this consumer alone, as if it came from a queue; whether there is a slot for it. Settling it
    /// tells nobody.
    pub fn offer(&mut self, hint: Hint) -> bool {
        dispatch!(&mut self.0, consumer => consumer.offer(hint))
    }

    /// Stops consuming, and gives back what was not handed out by [`next`](Self::next). Deliveries already handed out
    /// can still be settled. Returns when the broker has stopped delivering, or after a bounded time.
    pub async fn pause(&mut self) {
        dispatch!(&mut self.0, consumer => consumer.pause().await);
    }

    /// Consumes again after a [`pause`](Self::pause).
    pub fn resume(&mut self) {
        dispatch!(&mut self.0, consumer => consumer.resume());
    }

    /// Waits, for a bounded time, until every settlement made so far was written to the broker. For shutdown.
    pub async fn flush(&self) {
        dispatch!(&self.0, consumer => consumer.flush().await);
    }
}
