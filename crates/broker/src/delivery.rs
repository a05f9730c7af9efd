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
    /// Given back with the delivery, unless somebody took it.
    slot: Slot,
}

/// The place that an edit takes at its consumer. Dropping it makes room for another.
#[derive(Default)]
pub struct Slot(Option<Box<dyn FnOnce() + Send + Sync>>);

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
            slot: Slot::default(),
        }
    }

    /// The delivery as it is handed out.
    pub(crate) fn in_slot(mut self, free: impl FnOnce() + Send + Sync + 'static) -> Self {
        self.slot = Slot(Some(Box::new(free)));
        self
    }

    /// Takes the place that the edit has at its consumer, for an edit that needs it for less long than its message stays
    /// unsettled, or longer.
    pub fn take_slot(&mut self) -> Slot {
        std::mem::take(&mut self.slot)
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

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(free) = self.0.take() {
            free();
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.0.is_some()).finish()
    }
}
