//! The consumer of announced edits, on either backend.

use crate::backend::{Backend, dispatch};
use crate::{Delivery, local, rabbit};

/// Receives the announced edits of one model, interactive ones first. See [`Broker::consume`](crate::Broker::consume).
///
/// It has at most `slots + 1` unsettled deliveries of each class. It survives a lost connection by consuming again:
/// what was unsettled is delivered once more, to some consumer. Dropping it gives back what was not handed out.
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
