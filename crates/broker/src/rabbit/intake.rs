//! When which queue is read: messages come for free slots only, and the class is chosen when a slot is free.
//!
//! A consumer that has no free slot reads nothing, so that no message waits at a busy worker beside an idle one. When a slot
//! becomes free, the queues are asked one after the other, interactive ones first. Only once all are found empty do messages come
//! by themselves, from all queues at once, until the slots are taken. What comes too many then (from two queues in one moment) is
//! given back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::buffer::Buffer;

/// How long messages that were on their way when a queue was asked are waited for.
const ON_THE_WAY: Duration = Duration::from_millis(100);

/// Decides when the queues of one consumer are read.
pub(super) struct Intake {
    pub(super) buffer: Arc<Buffer>,
    /// By class, interactive ones first.
    pub(super) queues: Vec<Vec<Reading>>,
    pub(super) paused: watch::Receiver<bool>,
    /// Whether nothing is read.
    pub(super) quiet: watch::Sender<bool>,
    /// Moves on with every look, so that no model or cohort is always asked first.
    pub(super) turn: usize,
}

/// The intake's handle to the task that reads one queue.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) takes: mpsc::Sender<Take>,
    /// Whether messages come by themselves.
    pub(super) open: watch::Sender<bool>,
    pub(super) state: watch::Receiver<State>,
}

/// What the task that reads one queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has no channel.
    Away,
    /// No messages come.
    Closed,
    /// Messages come, or some are on their way.
    Open,
}

/// Asks a queue for messages.
#[derive(Debug)]
pub(super) struct Take {
    /// So many at most.
    pub(super) most: usize,
    /// How many come.
    pub(super) coming: oneshot::Sender<usize>,
}

impl Intake {
    /// Reads while there is room, for as long as it is polled.
    pub(super) async fn run(mut self) {
        let mut moves = self.buffer.moves();
        loop {
            self.until(&mut moves, |buffer| buffer.room() > 0, false)
                .await;
            self.quiet.send_replace(false);
            if self.ask(&mut moves).await {
                self.set_open(true);
                self.until(&mut moves, |buffer| buffer.room() == 0, true)
                    .await;
            }
            self.set_open(false);
            for queue in self.queues.iter_mut().flatten() {
                // An error means that the task has ended, and reads nothing either.
                let _ = queue.state.wait_for(|state| *state != State::Open).await;
            }
            if *self.paused.borrow() {
                self.buffer.clear_all();
            } else {
                self.buffer.give_back_excess();
            }
            self.quiet.send_replace(true);
        }
    }

    /// Asks the queues one after the other; whether there is room left in the end.
    async fn ask(&mut self, moves: &mut watch::Receiver<()>) -> bool {
        let (mut room, received) = (self.buffer.room(), self.buffer.received());
        let mut coming = 0;
        self.turn = self.turn.wrapping_add(1);
        let classes = self.queues.len();
        for (nth, queues) in self.queues.iter_mut().enumerate() {
            let count = queues.len();
            for at in 0..count {
                if room == 0 || *self.paused.borrow() {
                    break;
                }
                // Many come sooner by themselves, and after the last queue it makes no difference.
                if room > 1 && nth + 1 == classes && at + 1 == count {
                    return true;
                }
                let queue = &mut queues[(at + self.turn) % count];
                let taken = queue.take(room).await;
                room = room.saturating_sub(taken);
                coming += taken as u64;
            }
        }
        if room == 0 {
            let come = |buffer: &Buffer| buffer.received() >= received + coming;
            // Whoever gets none of them all the same asks again.
            let _ = timeout(ON_THE_WAY, self.until(moves, come, true)).await;
        }
        room > 0 && !*self.paused.borrow()
    }

    fn set_open(&self, open: bool) {
        for queue in self.queues.iter().flatten() {
            queue.open.send_replace(open);
        }
    }

    /// Waits until this is so; ends at once while paused, or waits for the end of the pause.
    async fn until(
        &self,
        moves: &mut watch::Receiver<()>,
        enough: impl Fn(&Buffer) -> bool,
        ends_by_pause: bool,
    ) {
        let mut paused = self.paused.clone();
        loop {
            moves.mark_unchanged();
            let now = *paused.borrow_and_update();
            // What came after all, just before its queue was closed.
            match (ends_by_pause, now) {
                (false, true) => self.buffer.clear_all(),
                (false, false) => self.buffer.give_back_excess(),
                (true, _) => {}
            }
            let done = match now {
                true => ends_by_pause,
                false => enough(&self.buffer),
            };
            if done {
                return;
            }
            tokio::select! {
                // Neither sender is dropped before this task is.
                _ = moves.changed() => {}
                _ = paused.changed() => {}
            }
        }
    }
}

impl Reading {
    /// Asks for so many messages at most; how many come. None from a queue that can't be read now.
    async fn take(&mut self, most: usize) -> usize {
        if *self.state.borrow() == State::Away {
            return 0;
        }
        let (coming, answer) = oneshot::channel();
        if self.takes.send(Take { most, coming }).await.is_err() {
            return 0;
        }
        tokio::select! {
            coming = answer => coming.unwrap_or(0),
            _ = self.state.wait_for(|state| *state == State::Away) => 0,
        }
    }
}
