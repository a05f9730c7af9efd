//! One announced edit, and how it is settled.

use std::fmt;

use crate::Hint;

/// One announced edit. Settle it with [`ack`](Self::ack), [`requeue`](Self::requeue) or [`reject`](Self::reject).
/// A delivery that is dropped unsettled goes back to its queue.
///
/// Settling never waits and never fails: a settlement that doesn't reach the broker is counted, and the edit is
/// delivered again.
pub struct Delivery {
    /// The edit.
    pub hint: Hint,
    /// Whether the edit was delivered before.
    pub redelivered: bool,
    /// Present until the delivery is settled.
    settler: Option<Settler>,
}

/// Carries the settlement of one delivery to its queue.
type Settler = Box<dyn FnOnce(&Hint, Settlement) + Send + Sync>;

/// What the consumer decided about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    Ack,
    Requeue,
    Reject,
}

impl Delivery {
    pub(crate) fn new(
        hint: Hint,
        redelivered: bool,
        settler: impl FnOnce(&Hint, Settlement) + Send + Sync + 'static,
    ) -> Self {
        Self {
            hint,
            redelivered,
            settler: Some(Box::new(settler)),
        }
    }

    /// Removes the message for good: the edit's outcome is in Postgres, or the edit can't be claimed.
    pub fn ack(mut self) {
        self.settle(Settlement::Ack);
    }

    /// Gives the message back to its queue, for another worker. After 20 returns it goes to the dead letters.
    pub fn requeue(mut self) {
        self.settle(Settlement::Requeue);
    }

    /// Sends the message to the dead letters.
    pub fn reject(mut self) {
        self.settle(Settlement::Reject);
    }

    fn settle(&mut self, settlement: Settlement) {
        if let Some(settler) = self.settler.take() {
            settler(&self.hint, settlement);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.settle(Settlement::Requeue);
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
