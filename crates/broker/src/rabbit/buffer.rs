//! The deliveries that RabbitMQ sent and the consumer has not handed out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use limekiln_jobs::Class;
use tokio::sync::Notify;

use crate::Delivery;
use crate::per_class::PerClass;

/// The prefetched deliveries of one model.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    deliveries: Mutex<PerClass<VecDeque<Delivery>>>,
    /// Notified when a delivery may be there to hand out.
    pub(super) changed: Notify,
}

impl Buffer {
    pub(super) fn push(&self, class: Class, delivery: Delivery) {
        self.lock()[class].push_back(delivery);
        self.changed.notify_one();
    }

    /// The next delivery, interactive ones first.
    pub(super) fn pop(&self) -> Option<Delivery> {
        let mut deliveries = self.lock();
        Class::ALL
            .into_iter()
            .find_map(|class| deliveries[class].pop_front())
    }

    pub(super) fn len(&self) -> usize {
        let deliveries = self.lock();
        Class::ALL
            .into_iter()
            .map(|class| deliveries[class].len())
            .sum()
    }

    /// Gives all deliveries of a class back, since a delivery that is dropped is requeued.
    pub(super) fn clear(&self, class: Class) {
        let dropped = std::mem::take(&mut self.lock()[class]);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, PerClass<VecDeque<Delivery>>> {
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
