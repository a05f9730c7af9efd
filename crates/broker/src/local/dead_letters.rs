//! The dead letters of the in-process broker.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Hint;
use crate::queue::DEAD_LIMIT;

/// Messages that were rejected or came back too often. The oldest are dropped when there are too many.
#[derive(Debug, Default)]
pub(super) struct DeadLetters(Mutex<VecDeque<Hint>>);

impl DeadLetters {
    pub(super) fn push(&self, hint: Hint) {
        tracing::warn!(edit = %hint.edit, "message to the dead letters");
        let mut letters = self.lock();
        if letters.len() >= DEAD_LIMIT as usize {
            letters.pop_front();
        }
        letters.push_back(hint);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Hint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
