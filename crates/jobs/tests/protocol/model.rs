//! The protocol as a state machine for the checker: the row is a real [`Job`] and changes by the real [`apply`] only.

use limekiln_jobs::{
    EditId, Epoch, Event, Failure, FailureClass, Job, Rejected, State, StateName, Wait, WorkerId,
    apply,
};
use stateright::{Model, Property};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const TTL: Duration = Duration::from_secs(15);
const LONG: Duration = Duration::from_secs(3600);
const WORKERS: usize = 2;
/// Bounds of what is walked through. One more of each gave no other answer, in 6 million states and 4 minutes.
const MESSAGES_MAX: u8 = 2;
const EPOCH_MAX: Epoch = Epoch::new(4);
const CHECKPOINT_MAX: u32 = 1;
const MAX_ATTEMPTS: u16 = 2;

/// What can be left away, to see that the checker notices.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// Whether a completion names its epoch.
    pub(crate) fence: bool,
    /// Whether what was announced and not claimed is announced again.
    pub(crate) announce_again: bool,
}

pub(crate) struct Fleet(pub(crate) Rules);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Whole {
    row: Job,
    /// The row's `announced_at`.
    announced: bool,
    /// Announcements that coordinators are about to publish.
    outbox: u8,
    /// Messages in the queue.
    queue: u8,
    workers: [Worker; WORKERS],
    /// Epochs with a result in the blob store.
    blobs: Vec<Epoch>,
    /// Epochs whose result was referenced.
    referenced: Vec<Epoch>,
    /// The state it ended in, the first time it did.
    ended: Option<StateName>,
    /// Whether a worker came too late and was refused.
    refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    /// Holds a message it has not acted on.
    Holds,
    /// Believes to have the lease.
    Works(Epoch),
    /// Has stored its results and is about to complete.
    Uploaded(Epoch),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Release,
    AnnounceAgain,
    Publish,
    PublishFails,
    CoordinatorDies,
    MessageLost,
    MessageDoubled,
    Take(usize),
    Claim(usize),
    Checkpoint(usize),
    Upload(usize),
    Complete(usize),
    Fail(usize),
    HandBack(usize),
    Kill(usize),
    /// Its connection breaks: the message goes back while it works on.
    Redeliver(usize),
    Reap,
    RetryDue,
    Cancel,
}

impl Whole {
    fn change(&mut self, event: Event, now: OffsetDateTime) -> Result<(), Rejected> {
        let (row, _) = apply(&self.row, event, now)?;
        if row.state == State::Queued {
            self.announced = false;
        }
        if row.state.is_terminal() && self.ended.is_none() {
            self.ended = Some(row.state.name());
        }
        self.row = row;
        Ok(())
    }

    fn requeue(&mut self) {
        self.queue = MESSAGES_MAX.min(self.queue + 1);
    }

    /// A worker's effect; it stops when it is refused.
    fn effect(&mut self, worker: usize, event: Event, then: Worker) {
        let outcome = self.change(event, NOW);
        self.refused |= outcome == Err(Rejected::Stale);
        self.workers[worker] = if outcome == Err(Rejected::Stale) {
            Worker::Idle
        } else {
            then
        };
    }

    fn works(&self, worker: usize) -> Option<Epoch> {
        match self.workers[worker] {
            Worker::Works(epoch) => Some(epoch),
            _ => None,
        }
    }

    /// What a fleet without faults does next.
    fn fair(&self) -> Option<Action> {
        let find = |wanted: &dyn Fn(Worker) -> bool| {
            self.workers.iter().position(|worker| wanted(*worker))
        };
        let current = |worker: Worker| match worker {
            Worker::Works(epoch) | Worker::Uploaded(epoch) => epoch == self.row.epoch,
            _ => false,
        };
        let advance = |worker: usize| match self.workers[worker] {
            Worker::Works(_) => Action::Upload(worker),
            Worker::Uploaded(_) => Action::Complete(worker),
            Worker::Holds => Action::Claim(worker),
            Worker::Idle => Action::Take(worker),
        };
        match self.row.state {
            State::Waiting(Wait::Turn(_)) => None,
            State::Waiting(Wait::Retry { .. }) => Some(Action::RetryDue),
            State::Running(_) => Some(find(&current).map_or(Action::Reap, advance)),
            State::Queued => Some(
                if let Some(worker) = find(&|worker| worker != Worker::Idle) {
                    advance(worker)
                } else if self.queue > 0 {
                    Action::Take(0)
                } else if self.outbox > 0 {
                    Action::Publish
                } else if self.announced {
                    Action::AnnounceAgain
                } else {
                    Action::Release
                },
            ),
            _ => None,
        }
    }
}

impl Fleet {
    /// Whether the edit ends when the faults do.
    fn ends(&self, whole: &Whole) -> bool {
        let mut whole = whole.clone();
        for _ in 0..40 {
            if whole.row.state.is_terminal() {
                return true;
            }
            match whole
                .fair()
                .and_then(|action| self.next_state(&whole, action))
            {
                Some(next) => whole = next,
                None => return false,
            }
        }
        false
    }
}

impl Model for Fleet {
    type State = Whole;
    type Action = Action;

    fn init_states(&self) -> Vec<Whole> {
        vec![Whole {
            row: Job::new(EditId::from(Uuid::from_u128(1)), MAX_ATTEMPTS),
            announced: false,
            outbox: 0,
            queue: 0,
            workers: [Worker::Idle; WORKERS],
            blobs: Vec::new(),
            referenced: Vec::new(),
            ended: None,
            refused: false,
        }]
    }

    fn actions(&self, _: &Whole, actions: &mut Vec<Action>) {
        use Action::*;
        actions.extend([
            Release,
            AnnounceAgain,
            Publish,
            PublishFails,
            CoordinatorDies,
            MessageLost,
            MessageDoubled,
        ]);
        actions.extend([Reap, RetryDue, Cancel]);
        for w in 0..WORKERS {
            actions.extend([
                Take(w),
                Claim(w),
                Checkpoint(w),
                Upload(w),
                Complete(w),
                Fail(w),
                HandBack(w),
            ]);
            actions.extend([Kill(w), Redeliver(w)]);
        }
    }

    fn next_state(&self, whole: &Whole, action: Action) -> Option<Whole> {
        let mut next = whole.clone();
        let queued = whole.row.state == State::Queued;
        match action {
            Action::Release if queued && !whole.announced && whole.outbox < MESSAGES_MAX => {
                next.announced = true;
                next.outbox += 1;
            }
            Action::AnnounceAgain
                if self.0.announce_again
                    && queued
                    && whole.announced
                    && whole.outbox < MESSAGES_MAX =>
            {
                next.outbox += 1;
            }
            Action::Publish if whole.outbox > 0 => {
                next.outbox -= 1;
                next.requeue();
            }
            // The coordinator takes the announcement back, whoever else may have announced it since.
            Action::PublishFails if whole.outbox > 0 => {
                next.outbox -= 1;
                next.announced = false;
            }
            Action::CoordinatorDies if whole.outbox > 0 => next.outbox -= 1,
            Action::MessageLost if whole.queue > 0 => next.queue -= 1,
            Action::MessageDoubled if whole.queue > 0 => next.requeue(),
            Action::Take(w) if whole.queue > 0 && whole.workers[w] == Worker::Idle => {
                next.queue -= 1;
                next.workers[w] = Worker::Holds;
            }
            Action::Claim(w) if whole.workers[w] == Worker::Holds => {
                let worker = WorkerId::from(Uuid::from_u128(w as u128));
                let claimed = next.change(Event::Claim { worker, ttl: TTL }, NOW);
                next.workers[w] = if claimed.is_ok() {
                    Worker::Works(next.row.epoch)
                } else {
                    Worker::Idle
                };
            }
            Action::Checkpoint(w) if whole.row.checkpoint_step < CHECKPOINT_MAX => {
                let epoch = whole.works(w)?;
                let step = whole.row.checkpoint_step + 1;
                next.effect(w, Event::Checkpoint { epoch, step }, Worker::Works(epoch));
            }
            Action::Upload(w) => {
                let epoch = whole.works(w)?;
                next.workers[w] = Worker::Uploaded(epoch);
                next.blobs.push(epoch);
                next.blobs.sort();
            }
            Action::Complete(w) => {
                let Worker::Uploaded(epoch) = whole.workers[w] else {
                    return None;
                };
                let fence = if self.0.fence { epoch } else { whole.row.epoch };
                let outcome = next.change(Event::Complete { epoch: fence }, NOW);
                // Without the fence nothing looks at the row at all.
                if outcome.is_ok() || !self.0.fence {
                    next.referenced.push(epoch);
                }
                next.refused |= outcome == Err(Rejected::Stale);
                next.workers[w] = Worker::Idle;
            }
            Action::Fail(w) => {
                let epoch = whole.works(w)?;
                let failure = Failure::new(
                    FailureClass::Internal,
                    "out_of_memory",
                    "the device is full",
                );
                next.effect(w, Event::Fail { epoch, failure }, Worker::Idle);
            }
            Action::HandBack(w) => {
                let epoch = whole.works(w)?;
                next.effect(w, Event::HandBack { epoch }, Worker::Idle);
            }
            Action::Kill(w) if whole.workers[w] != Worker::Idle => {
                next.workers[w] = Worker::Idle;
                next.requeue();
            }
            Action::Redeliver(w) if whole.workers[w] != Worker::Idle => next.requeue(),
            Action::Reap => next.change(Event::Expire, NOW + LONG).ok()?,
            Action::RetryDue => next.change(Event::RetryDue, NOW + LONG).ok()?,
            Action::Cancel => next.change(Event::Cancel, NOW).ok()?,
            _ => return None,
        }
        Some(next)
    }

    fn within_boundary(&self, whole: &Whole) -> bool {
        whole.row.epoch <= EPOCH_MAX
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("at most one result", |_, whole: &Whole| {
                whole.referenced.len() <= 1
            }),
            Property::always(
                "success is a referenced result that is there",
                |_, whole: &Whole| match (&whole.row.state, whole.referenced.as_slice()) {
                    (State::Succeeded, [epoch]) => {
                        *epoch == whole.row.epoch && whole.blobs.contains(epoch)
                    }
                    (State::Succeeded, _) => false,
                    (_, referenced) => referenced.is_empty(),
                },
            ),
            Property::always("one worker per epoch", |_, whole: &Whole| {
                let mut epochs = whole.workers.iter().filter_map(|worker| match worker {
                    Worker::Works(epoch) | Worker::Uploaded(epoch) => Some(*epoch),
                    _ => None,
                });
                let (first, second) = (epochs.next(), epochs.next());
                first.is_none() || first != second
            }),
            Property::always("an end is final", |_, whole: &Whole| {
                whole
                    .ended
                    .is_none_or(|ended| ended == whole.row.state.name())
            }),
            Property::always("attempts within their limit", |_, whole: &Whole| {
                whole.row.attempts <= MAX_ATTEMPTS
            }),
            Property::always("never stuck", |fleet: &Self, whole: &Whole| {
                fleet.ends(whole)
            }),
            Property::sometimes("succeeds after a death", |_, whole: &Whole| {
                whole.row.state == State::Succeeded && whole.row.epoch > Epoch::new(1)
            }),
            Property::sometimes(
                "succeeds after a late worker was refused",
                |_, whole: &Whole| whole.row.state == State::Succeeded && whole.refused,
            ),
            Property::sometimes(
                "is poison",
                |_, whole: &Whole| matches!(&whole.row.state, State::Failed(failure) if failure.class == FailureClass::Poison),
            ),
            Property::sometimes(
                "is cancelled while a worker is at it",
                |_, whole: &Whole| {
                    whole.row.state == State::Cancelled
                        && whole.workers.contains(&Worker::Works(whole.row.epoch))
                },
            ),
        ]
    }
}
