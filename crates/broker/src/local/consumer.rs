//! The consumer of one model's queues.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use limekiln_jobs::Class;
use tokio_util::sync::CancellationToken;

use super::model_queues::ModelQueues;
use crate::delivery::Settlement;
use crate::per_class::PerClass;
use crate::{Delivery, Hint};

/// Consumes the edits of one model.
#[derive(Debug)]
pub(crate) struct Consumer {
    queues: Arc<ModelQueues>,
    /// How many unsettled deliveries of each class there may be.
    prefetch: usize,
    unsettled: Arc<PerClass<AtomicUsize>>,
    paused: bool,
    closed: CancellationToken,
}

impl Consumer {
    pub(super) fn new(
        queues: Arc<ModelQueues>,
        prefetch: usize,
        closed: CancellationToken,
    ) -> Self {
        queues.consumers.fetch_add(1, Ordering::Relaxed);
        Self {
            queues,
            prefetch,
            unsettled: Arc::default(),
            paused: false,
            closed,
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        loop {
            if self.closed.is_cancelled() {
                return None;
            }
            let mut changed = pin!(self.queues.changed.notified());
            // Enabled before the look at the queues, so that no change between the look and the wait is missed.
            changed.as_mut().enable();
            if let Some(delivery) = self.take() {
                return Some(delivery);
            }
            self.closed.run_until_cancelled(changed).await?;
        }
    }

    pub(crate) fn ready(&self) -> usize {
        if self.paused {
            return 0;
        }
        let queues = self.queues.lock();
        Class::ALL
            .into_iter()
            .map(|class| queues[class].len().min(self.credit(class)))
            .sum()
    }

    pub(crate) async fn pause(&mut self) {
        self.paused = true;
    }

    pub(crate) fn resume(&mut self) {
        self.paused = false;
        self.queues.changed.notify_waiters();
    }

    /// Settlements take effect at once, so there is nothing to wait for.
    pub(crate) async fn flush(&self) {}

    /// How many more deliveries of a class may be handed out.
    fn credit(&self, class: Class) -> usize {
        let unsettled = self.unsettled[class].load(Ordering::Acquire);
        self.prefetch.saturating_sub(unsettled)
    }

    fn take(&self) -> Option<Delivery> {
        if self.paused {
            return None;
        }
        let mut queues = self.queues.lock();
        let (class, message) = Class::ALL
            .into_iter()
            .filter(|&class| self.credit(class) > 0)
            .find_map(|class| Some((class, queues[class].pop_front()?)))?;
        self.unsettled[class].fetch_add(1, Ordering::AcqRel);
        metrics::counter!("limekiln_broker_deliveries_total", "class" => class.as_str())
            .increment(1);
        let (queues, unsettled) = (Arc::clone(&self.queues), Arc::clone(&self.unsettled));
        let returns = message.returns;
        let settler = move |hint: &Hint, settlement| {
            unsettled[class].fetch_sub(1, Ordering::AcqRel);
            match settlement {
                Settlement::Ack => {}
                Settlement::Requeue => queues.requeue(hint.clone(), returns),
                Settlement::Reject => queues.reject(hint.clone()),
            }
            queues.changed.notify_waiters();
        };
        Some(Delivery::new(message.hint, returns > 0, settler))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.queues.consumers.fetch_sub(1, Ordering::Relaxed);
    }
}
