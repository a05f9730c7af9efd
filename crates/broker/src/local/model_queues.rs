//! The two queues of one model, for all workers or for those of one cohort.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limekiln_jobs::{Class, ModelName};
use tokio::sync::Notify;

use super::dead_letters::DeadLetters;
use crate::per_class::PerClass;
use crate::queue::{DELIVERY_LIMIT, QUEUE_LIMIT, Queue};
use crate::{Error, Hint, Result};

/// The queues in which one model's edits wait.
#[derive(Debug)]
pub(super) struct ModelQueues {
    model: ModelName,
    cohort: Option<String>,
    queues: Mutex<PerClass<VecDeque<Message>>>,
    changed: Arc<Notify>,
    pub(super) consumers: AtomicUsize,
    dead_letters: Arc<DeadLetters>,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) hint: Hint,
    /// How often the message came back to its queue.
    pub(super) returns: u32,
}

impl ModelQueues {
    pub(super) fn new(
        model: ModelName,
        cohort: Option<String>,
        dead_letters: Arc<DeadLetters>,
        changed: Arc<Notify>,
    ) -> Self {
        Self {
            model,
            cohort,
            queues: Mutex::default(),
            changed,
            consumers: AtomicUsize::new(0),
            dead_letters,
        }
    }

    pub(super) fn queue(&self, class: Class) -> Queue {
        Queue::new(&self.model, class, self.cohort.as_deref())
    }

    pub(super) fn push(&self, hint: Hint) -> Result<()> {
        {
            let mut queues = self.lock();
            let queue = &mut queues[hint.class];
            if queue.len() >= QUEUE_LIMIT as usize {
                return Err(Error::Full(hint.queue().name));
            }
            queue.push_back(Message { hint, returns: 0 });
        }
        self.changed.notify_waiters();
        Ok(())
    }

    pub(super) fn purge(&self) -> usize {
        let mut queues = self.lock();
        let purge = |class| queues[class].drain(..).count();
        Class::ALL.into_iter().map(purge).sum()
    }

    /// Puts a message back at the head of its queue, unless it came back too often.
    pub(super) fn requeue(&self, hint: Hint, returns: u32) {
        if returns >= DELIVERY_LIMIT {
            self.dead_letters.push(hint);
        } else {
            let returns = returns + 1;
            self.lock()[hint.class].push_front(Message { hint, returns });
            self.changed.notify_waiters();
        }
    }

    pub(super) fn reject(&self, hint: Hint) {
        self.dead_letters.push(hint);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, PerClass<VecDeque<Message>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
