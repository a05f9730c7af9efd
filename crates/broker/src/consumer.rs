//! The consumer of announced edits, on either backend.

use crate::{Delivery, local, rabbit};

/// Receives the announced edits of one model, interactive ones first. See [`Broker::consume`](crate::Broker::consume).
///
/// It has at most `slots + 1` unsettled deliveries of each class. It survives a lost connection by consuming again:
/// what was unsettled is delivered once more, to some consumer. Dropping it gives back what was not handed out.
#[derive(Debug)]
pub struct Consumer(pub(crate) Backend);

#[derive(Debug)]
pub(crate) enum Backend {
    Local(local::Consumer),
    Rabbit(rabbit::Consumer),
}

impl Consumer {
    /// Waits for the next edit, for ever while paused. `None` when the broker handle was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        match &mut self.0 {
            Backend::Local(consumer) => consumer.next().await,
            Backend::Rabbit(consumer) => consumer.next().await,
        }
    }

    /// How many edits [`next`](Self::next) would give without waiting.
    #[must_use]
    pub fn ready(&self) -> usize {
        match &self.0 {
            Backend::Local(consumer) => consumer.ready(),
            Backend::Rabbit(consumer) => consumer.ready(),
        }
    }

    /// Stops consuming, and gives back what was not handed out by [`next`](Self::next). Deliveries already handed out
    /// can still be settled. Returns when the broker has stopped delivering, or after a bounded time.
    pub async fn pause(&mut self) {
        match &mut self.0 {
            Backend::Local(consumer) => consumer.pause(),
            Backend::Rabbit(consumer) => consumer.pause().await,
        }
    }

    /// Consumes again after a [`pause`](Self::pause).
    pub fn resume(&mut self) {
        match &mut self.0 {
            Backend::Local(consumer) => consumer.resume(),
            Backend::Rabbit(consumer) => consumer.resume(),
        }
    }

    /// Waits, for a bounded time, until every settlement made so far was written to the broker. For shutdown.
    pub async fn flush(&self) {
        match &self.0 {
            Backend::Local(_) => {}
            Backend::Rabbit(consumer) => consumer.flush().await,
        }
    }
}
