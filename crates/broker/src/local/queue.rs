//! The two lines of one model, and those who take from them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limekiln_jobs::{Class, ModelName};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::consumer::{Settle, Verdict};
use crate::hint::{DELIVERY_LIMIT, QUEUE_LIMIT, queue_name};
use crate::{Delivery, Error, Hint, Result};

/// Dead letters kept; the oldest go first.
pub(super) const DEAD_LIMIT: usize = crate::hint::DEAD_LIMIT as usize;

pub(super) type Dead = Arc<Mutex<VecDeque<Hint>>>;

/// What one model's edits wait in.
#[derive(Debug)]
pub(super) struct Queue {
    model: ModelName,
    lines: Mutex<[VecDeque<Message>; 2]>,
    /// Something can be taken that could not be before.
    moved: Notify,
    consumers: AtomicUsize,
    dead: Dead,
}

#[derive(Debug)]
struct Message {
    hint: Hint,
    /// How often it came back.
    returns: u32,
}

fn line(class: Class) -> usize {
    match class {
        Class::Interactive => 0,
        Class::Bulk => 1,
    }
}

impl Queue {
    pub(super) fn new(model: ModelName, dead: Dead) -> Self {
        Self {
            model,
            lines: Mutex::default(),
            moved: Notify::new(),
            consumers: AtomicUsize::new(0),
            dead,
        }
    }

    pub(super) fn push(&self, hint: Hint) -> Result<()> {
        {
            let mut lines = self.lines();
            let line = &mut lines[line(hint.class)];
            if line.len() >= QUEUE_LIMIT as usize {
                return Err(Error::Full(queue_name(&self.model, hint.class)));
            }
            line.push_back(Message { hint, returns: 0 });
        }
        self.moved.notify_waiters();
        Ok(())
    }

    pub(super) fn ready(&self, class: Class) -> usize {
        self.lines()[line(class)].len()
    }

    pub(super) fn consumers(&self) -> usize {
        self.consumers.load(Ordering::Relaxed)
    }

    pub(super) fn purge(&self) -> usize {
        let mut lines = self.lines();
        lines.iter_mut().map(|line| line.drain(..).count()).sum()
    }

    fn give_back(&self, mut message: Message) {
        message.returns += 1;
        if message.returns > DELIVERY_LIMIT {
            self.bury(message.hint);
        } else {
            self.lines()[line(message.hint.class)].push_front(message);
        }
    }

    fn bury(&self, hint: Hint) {
        tracing::warn!(edit = %hint.edit, "message to the dead letters");
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.len() >= DEAD_LIMIT {
            dead.pop_front();
        }
        dead.push_back(hint);
    }

    fn lines(&self) -> MutexGuard<'_, [VecDeque<Message>; 2]> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes from one model's lines.
#[derive(Debug)]
pub(crate) struct Taker {
    queue: Arc<Queue>,
    /// Unsettled deliveries it may have of each class.
    limit: usize,
    unsettled: Arc<[AtomicUsize; 2]>,
    paused: bool,
    closed: CancellationToken,
}

impl Taker {
    pub(super) fn new(queue: Arc<Queue>, limit: usize, closed: CancellationToken) -> Self {
        queue.consumers.fetch_add(1, Ordering::Relaxed);
        Self {
            queue,
            limit,
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
            let queue = Arc::clone(&self.queue);
            let mut moved = std::pin::pin!(queue.moved.notified());
            // From here on no movement is missed, whatever comes between the look and the wait.
            moved.as_mut().enable();
            if let Some(delivery) = self.take() {
                return Some(delivery);
            }
            tokio::select! {
                () = moved => {}
                () = self.closed.cancelled() => return None,
            }
        }
    }

    pub(crate) fn ready(&self) -> usize {
        if self.paused {
            return 0;
        }
        let lines = self.queue.lines();
        (0..2)
            .map(|line| {
                let taken = self.unsettled[line].load(Ordering::Acquire);
                lines[line].len().min(self.limit.saturating_sub(taken))
            })
            .sum()
    }

    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    pub(crate) fn resume(&mut self) {
        self.paused = false;
        self.queue.moved.notify_waiters();
    }

    fn take(&self) -> Option<Delivery> {
        if self.paused {
            return None;
        }
        let mut lines = self.queue.lines();
        for class in [Class::Interactive, Class::Bulk] {
            if self.unsettled[line(class)].load(Ordering::Acquire) >= self.limit {
                continue;
            }
            if let Some(message) = lines[line(class)].pop_front() {
                self.unsettled[line(class)].fetch_add(1, Ordering::AcqRel);
                metrics::counter!("limekiln_broker_deliveries_total", "class" => class.as_str())
                    .increment(1);
                let back = Back {
                    queue: Arc::clone(&self.queue),
                    unsettled: Arc::clone(&self.unsettled),
                    returns: message.returns,
                };
                return Some(Delivery::new(message.hint, message.returns > 0, back));
            }
        }
        None
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.queue.consumers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The way back of one delivery.
struct Back {
    queue: Arc<Queue>,
    unsettled: Arc<[AtomicUsize; 2]>,
    returns: u32,
}

impl Settle for Back {
    fn settle(self: Box<Self>, hint: &Hint, verdict: Verdict) {
        self.unsettled[line(hint.class)].fetch_sub(1, Ordering::AcqRel);
        match verdict {
            Verdict::Ack => {}
            Verdict::Requeue => self.queue.give_back(Message {
                hint: hint.clone(),
                returns: self.returns,
            }),
            Verdict::Reject => self.queue.bury(hint.clone()),
        }
        self.queue.moved.notify_waiters();
    }
}
