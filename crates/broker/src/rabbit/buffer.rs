//! The deliveries that RabbitMQ sent and the consumer has not handed out, and the places that are taken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limekiln_jobs::Class;
use tokio::sync::{Notify, watch};

use crate::Delivery;
use crate::per_class::PerClass;

/// The deliveries of one consumer, from all of its queues.
#[derive(Debug)]
pub(super) struct Buffer {
    slots: usize,
    inner: Mutex<Inner>,
    /// Notified when a delivery may be there to hand out.
    pub(super) changed: Notify,
    /// Sent whenever the room may have changed.
    moved: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Each with the number of its queue.
    deliveries: PerClass<VecDeque<(usize, Delivery)>>,
    /// Handed out, and their slots are not free again.
    held: usize,
    /// How many have come.
    received: u64,
}

impl Inner {
    fn len(&self) -> usize {
        Class::ALL
            .into_iter()
            .map(|class| self.deliveries[class].len())
            .sum()
    }
}

impl Buffer {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots,
            inner: Mutex::default(),
            changed: Notify::new(),
            moved: watch::Sender::new(()),
        }
    }

    /// Tells whenever the room may have changed.
    pub(super) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// How many more deliveries there are slots for.
    pub(super) fn room(&self) -> usize {
        let inner = self.lock();
        self.slots.saturating_sub(inner.held + inner.len())
    }

    /// How many deliveries have come so far.
    pub(super) fn received(&self) -> u64 {
        self.lock().received
    }

    pub(super) fn push(&self, class: Class, queue: usize, delivery: Delivery) {
        let mut inner = self.lock();
        inner.deliveries[class].push_back((queue, delivery));
        inner.received += 1;
        drop(inner);
        self.moved();
    }

    /// The next delivery, interactive ones first, if there is a slot for it.
    pub(super) fn pop(self: &Arc<Self>) -> Option<Delivery> {
        let mut inner = self.lock();
        if inner.held >= self.slots {
            return None;
        }
        let (_, delivery) = Class::ALL
            .into_iter()
            .find_map(|class| inner.deliveries[class].pop_front())?;
        inner.held += 1;
        drop(inner);
        let buffer = Arc::clone(self);
        Some(delivery.in_slot(move || {
            buffer.lock().held -= 1;
            buffer.moved();
        }))
    }

    /// How many [`pop`](Self::pop) would give.
    pub(super) fn ready(&self) -> usize {
        let inner = self.lock();
        inner.len().min(self.slots.saturating_sub(inner.held))
    }

    /// Gives all deliveries of a queue back, since a delivery that is dropped is requeued.
    pub(super) fn clear(&self, queue: usize) {
        self.give_back(|inner| {
            let mut gone = VecDeque::new();
            for class in Class::ALL {
                let (mut of_queue, others): (VecDeque<_>, _) =
                    std::mem::take(&mut inner.deliveries[class])
                        .into_iter()
                        .partition(|(of, _)| *of == queue);
                inner.deliveries[class] = others;
                gone.append(&mut of_queue);
            }
            gone
        });
    }

    /// Gives all deliveries back.
    pub(super) fn clear_all(&self) {
        self.give_back(|inner| {
            let mut gone = VecDeque::new();
            for class in Class::ALL {
                gone.append(&mut inner.deliveries[class]);
            }
            gone
        });
    }

    /// Gives back what there is no slot for: the last that came, bulk before the rest.
    pub(super) fn give_back_excess(&self) {
        self.give_back(|inner| {
            let mut gone = VecDeque::new();
            while inner.held + inner.len() > self.slots {
                let last = Class::ALL
                    .into_iter()
                    .rev()
                    .find_map(|class| inner.deliveries[class].pop_back());
                match last {
                    Some(last) => gone.push_back(last),
                    None => break,
                }
            }
            gone
        });
    }

    fn give_back(&self, take: impl FnOnce(&mut Inner) -> VecDeque<(usize, Delivery)>) {
        // Dropped without the lock.
        let gone = take(&mut self.lock());
        if !gone.is_empty() {
            drop(gone);
            self.moved();
        }
    }

    fn moved(&self) {
        self.changed.notify_one();
        self.moved.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
