//! The only rule by which an edit changes.

use crate::events::EventKind;
use crate::ids::WorkerId;
use crate::state::{Epoch, Failure, Job, State};
use std::time::Duration;
use time::OffsetDateTime;

mod lease;
mod turns;

/// The outcome of an event.
type Step = Result<(Job, Vec<Effect>), Rejected>;

/// What may happen to an edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The turn it builds on has its result.
    ParentSucceeded,
    /// The turn it builds on ended without one.
    ParentEnded,
    /// The time of its next attempt may have come.
    RetryDue,
    /// A worker takes it.
    Claim {
        /// Who.
        worker: WorkerId,
        /// For how long, unless renewed.
        ttl: Duration,
    },
    /// Its worker lives, and its steps advance.
    Renew {
        /// Under which claim.
        epoch: Epoch,
        /// For how long from now.
        ttl: Duration,
    },
    /// Its worker did steps worth telling.
    Progress {
        /// Under which claim.
        epoch: Epoch,
    },
    /// Its worker stored a checkpoint.
    Checkpoint {
        /// Under which claim.
        epoch: Epoch,
        /// Steps done in it, both stages counted through.
        step: u32,
    },
    /// Its worker stored the results.
    Complete {
        /// Under which claim.
        epoch: Epoch,
    },
    /// Its worker could not.
    Fail {
        /// Under which claim.
        epoch: Epoch,
        /// Why: `User`, or else `Internal`. The other classes are the coordinator's to give, and count as `Internal` here.
        failure: Failure,
    },
    /// Its worker shuts down and gives it back.
    HandBack {
        /// Under which claim.
        epoch: Epoch,
    },
    /// The reaper looks whether its lease is over.
    Expire,
    /// Its owner ends it.
    Cancel,
    /// Somebody wants a failed edit tried again.
    Retry,
}

/// What follows from an event that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The history gets an entry, and watchers hear of it.
    Log {
        /// Its number.
        seq: u64,
        /// Its kind.
        kind: EventKind,
    },
    /// It may be released: wake the coordinators.
    Announce,
    /// Its worker should stop at the next step; the fence holds whether it hears of it or not.
    Stop {
        /// Whose lease ended.
        worker: WorkerId,
        /// Under which claim.
        epoch: Epoch,
    },
    /// It ended: free its tenant's slot, account for it, post its webhook, look after the turns that build on it.
    Settle,
    /// It is under way again after its end: take a slot of its tenant's.
    Reopen,
}

/// Why an event changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejected {
    /// From a worker whose lease is gone.
    #[error("this claim is over: stop the edit, and let its results be swept")]
    Stale,
    /// A claim of an edit that is not queued.
    #[error("the edit is not queued: drop the message")]
    NotClaimable,
    /// The edit waits for something else, or for nothing.
    #[error("the edit does not wait for this")]
    NotWaiting,
    /// The lease or the wait is not over.
    #[error("it is too early: ask again later")]
    NotDue,
    /// A checkpoint with no more steps than the stored one.
    #[error("a newer checkpoint is stored: drop this one")]
    OldCheckpoint,
    /// The edit has ended.
    #[error("the edit has ended")]
    Ended,
    /// Only failed edits are retried by hand.
    #[error("only a failed edit can be retried")]
    NotFailed,
}

/// The job after the event, and what follows from it.
///
/// `now` is the database's clock. A rejected event changes nothing.
///
/// # Errors
/// Why the event is not accepted in this state.
pub fn apply(job: &Job, event: Event, now: OffsetDateTime) -> Result<(Job, Vec<Effect>), Rejected> {
    match event {
        Event::ParentSucceeded => turns::parent_succeeded(job),
        Event::ParentEnded => turns::parent_ended(job),
        Event::RetryDue => turns::retry_due(job, now),
        Event::Claim { worker, ttl } => lease::claim(job, worker, now + ttl),
        Event::Renew { epoch, ttl } => lease::renew(job, epoch, now + ttl),
        Event::Progress { epoch } => lease::progress(job, epoch),
        Event::Checkpoint { epoch, step } => lease::checkpoint(job, epoch, step),
        Event::Complete { epoch } => lease::complete(job, epoch),
        Event::Fail { epoch, failure } => lease::fail(job, epoch, failure, now),
        Event::HandBack { epoch } => lease::hand_back(job, epoch),
        Event::Expire => lease::expire(job, now),
        Event::Cancel => turns::cancel(job),
        Event::Retry => turns::retry(job),
    }
}

/// The job with one more entry in its history.
fn log(job: Job, kind: EventKind) -> (Job, Vec<Effect>) {
    let seq = job.seq + 1;
    (Job { seq, ..job }, vec![Effect::Log { seq, kind }])
}

/// The job in another state, with what every way there has in common.
fn become_state(job: Job, state: State) -> (Job, Vec<Effect>) {
    let kind = state.event();
    let (job, mut effects) = log(Job { state, ..job }, kind);
    match job.state {
        State::Queued => effects.push(Effect::Announce),
        State::Succeeded | State::Failed(_) | State::Cancelled => effects.push(Effect::Settle),
        State::Waiting(_) | State::Running(_) => {}
    }
    (job, effects)
}
