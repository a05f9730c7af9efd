//! What may happen to an edit, what follows from it, and why it may be refused.

use std::time::Duration;

use crate::events::EventKind;
use crate::ids::WorkerId;
use crate::state::{Epoch, Failure};

/// What may happen to an edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The edit that it builds on has succeeded.
    ParentSucceeded,
    /// The edit that it builds on ended without a result.
    ParentEnded,
    /// The time of its next attempt may have come.
    RetryDue,
    /// A worker takes it.
    Claim {
        /// The worker that claims it.
        worker: WorkerId,
        /// How long the lease holds unless it is renewed.
        ttl: Duration,
    },
    /// Its worker is alive, and its steps advance.
    Renew {
        /// Epoch of the claim that the worker acts under.
        epoch: Epoch,
        /// How long the lease holds from now on.
        ttl: Duration,
    },
    /// Its worker did steps that watchers are told of.
    Progress {
        /// Epoch of the claim that the worker acts under.
        epoch: Epoch,
    },
    /// Its worker stored a checkpoint.
    Checkpoint {
        /// Epoch of the claim that the worker acts under.
        epoch: Epoch,
        /// Steps done in the checkpoint, counted through both stages.
        step: u32,
    },
    /// Its worker can't use the checkpoint (of another version, damaged, gone), and starts over at step 0.
    StartOver {
        /// Epoch of the claim that the worker acts under.
        epoch: Epoch,
    },
    /// Its worker stored the results.
    Complete {
        /// Epoch of the claim that the worker acts under.
        epoch: Epoch,
    },
    /// Its worker could not do it.
    Fail {
        /// Epoch of the claim that the worker acts under.
        epoch: Epoch,
        /// The reason. Workers give the classes `User`, `Internal`, `Hang` and `Suspect`; any other counts as `Internal`.
        failure: Failure,
    },
    /// Its worker shuts down and gives it back.
    HandBack {
        /// Epoch of the claim that the worker acts under.
        epoch: Epoch,
    },
    /// The reaper checks whether its lease has expired.
    Expire,
    /// Its owner cancels it.
    Cancel,
    /// An operator wants the failed edit tried again.
    Retry,
}

/// What follows from an event that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The history gets an event, which watchers are told of.
    Log {
        /// Number of the event.
        seq: u64,
        /// Kind of the event.
        kind: EventKind,
    },
    /// It may be released: wake the coordinators.
    Announce,
    /// Its worker should stop at the next step. Whether it hears of that or not, nothing it does counts any more.
    Stop {
        /// The worker whose lease ended.
        worker: WorkerId,
        /// Epoch of the claim that the worker acts under.
        epoch: Epoch,
    },
    /// It ended: free its tenant's slot, account for it, post its webhook, unblock or fail the edits that build on it.
    Settle,
    /// It is under way again after its end: take one of its tenant's slots.
    Reopen,
}

/// Why an event changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejected {
    /// It comes from a worker whose lease is gone.
    #[error("this claim is over: stop the edit, and let its results be swept")]
    Stale,
    /// It claims an edit that is not queued.
    #[error("the edit is not queued: drop the message")]
    NotClaimable,
    /// The edit waits for something else, or for nothing.
    #[error("the edit does not wait for this")]
    NotWaiting,
    /// The lease, or the wait for the next attempt, is not over.
    #[error("it is too early: ask again later")]
    NotDue,
    /// The checkpoint has no more steps than the stored one.
    #[error("a newer checkpoint is stored: drop this one")]
    OldCheckpoint,
    /// The edit has ended.
    #[error("the edit has ended")]
    Ended,
    /// Only failed edits are retried by hand.
    #[error("only a failed edit can be retried")]
    NotFailed,
}
