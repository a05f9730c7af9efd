//! The consumer of announced edits.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use limekiln_jobs::Class;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::model_queues::ModelQueues;
use crate::delivery::Settlement;
use crate::{Delivery, Hint};

/// Consumes announced edits.
#[derive(Debug)]
pub(crate) struct Consumer {
    queues: Vec<Arc<ModelQueues>>,
    /// What was offered to this consumer, and is not handed out.
    offered: VecDeque<Hint>,
    /// How many edits there may be at once.
    slots: usize,
    held: Arc<AtomicUsize>,
    /// Moves on with every edit, so that no model or cohort is always looked at first.
    turn: usize,
    paused: bool,
    changed: Arc<Notify>,
    closed: CancellationToken,
}

impl Consumer {
    pub(super) fn new(
        queues: Vec<Arc<ModelQueues>>,
        slots: usize,
        changed: Arc<Notify>,
        closed: CancellationToken,
    ) -> Self {
        for queue in &queues {
            queue.consumers.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            queues,
            offered: VecDeque::new(),
            slots,
            held: Arc::default(),
            turn: 0,
            paused: false,
            changed,
            closed,
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        let waiting = Arc::clone(&self.changed);
        loop {
            if self.closed.is_cancelled() {
                return None;
            }
            let mut changed = pin!(waiting.notified());
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
        let waiting = self.queues.iter().flat_map(|queues| {
            let queues = queues.lock();
            Class::ALL.map(|class| queues[class].len())
        });
        (self.offered.len() + waiting.sum::<usize>()).min(self.room())
    }

    pub(crate) fn offer(&mut self, hint: Hint) -> bool {
        let taken = !self.paused && self.room() > self.offered.len();
        if taken {
            self.offered.push_back(hint);
        }
        taken
    }

    pub(crate) async fn pause(&mut self) {
        self.paused = true;
        self.offered.clear();
    }

    pub(crate) fn resume(&mut self) {
        self.paused = false;
        self.changed.notify_waiters();
    }

    /// Settlements take effect at once, so there is nothing to wait for.
    pub(crate) async fn flush(&self) {}

    fn room(&self) -> usize {
        self.slots.saturating_sub(self.held.load(Ordering::Acquire))
    }

    fn take(&mut self) -> Option<Delivery> {
        if self.paused || self.room() == 0 {
            return None;
        }
        if let Some(hint) = self.offered.pop_front() {
            return Some(self.handed_out(Delivery::new(hint, false, |_, _| {})));
        }
        self.turn = self.turn.wrapping_add(1);
        let count = self.queues.len();
        let turn = self.turn;
        let (queues, class, message) = Class::ALL.into_iter().find_map(|class| {
            (0..count).find_map(|at| {
                let queues = &self.queues[(at + turn) % count];
                let message = queues.lock()[class].pop_front()?;
                Some((Arc::clone(queues), class, message))
            })
        })?;
        metrics::counter!("limekiln_broker_deliveries_total", "class" => class.as_str())
            .increment(1);
        let returns = message.returns;
        let settler = move |hint: &Hint, settlement| match settlement {
            Settlement::Ack => {}
            Settlement::Requeue => queues.requeue(hint.clone(), returns),
            Settlement::Reject => queues.reject(hint.clone()),
        };
        Some(self.handed_out(Delivery::new(message.hint, returns > 0, settler)))
    }

    /// The delivery in a slot.
    fn handed_out(&self, delivery: Delivery) -> Delivery {
        self.held.fetch_add(1, Ordering::AcqRel);
        let (held, changed) = (Arc::clone(&self.held), Arc::clone(&self.changed));
        delivery.in_slot(move || {
            held.fetch_sub(1, Ordering::AcqRel);
            changed.notify_waiters();
        })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        for queue in &self.queues {
            queue.consumers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
