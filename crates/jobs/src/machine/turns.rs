//! What other turns, time and people do to an edit.

use super::event::{Effect, Rejected};
use super::transition::{Transition, become_state};
use crate::state::{Failure, FailureClass, Job, State, Wait};
use time::OffsetDateTime;

pub(super) fn parent_succeeded(job: &Job) -> Transition {
    match job.state {
        State::Waiting(Wait::Turn(_)) => Ok(become_state(job.clone(), State::Queued)),
        _ => Err(Rejected::NotWaiting),
    }
}

pub(super) fn parent_ended(job: &Job) -> Transition {
    match job.state {
        State::Waiting(Wait::Turn(parent)) => {
            let message = format!("the edit it builds on, {parent}, has no result");
            let failure = Failure::new(FailureClass::Parent, Failure::PARENT_FAILED, message);
            Ok(become_state(job.clone(), State::Failed(failure)))
        }
        _ => Err(Rejected::NotWaiting),
    }
}

pub(super) fn retry_due(job: &Job, now: OffsetDateTime) -> Transition {
    match job.state {
        State::Waiting(Wait::Retry { until }) if now >= until => {
            Ok(become_state(job.clone(), State::Queued))
        }
        State::Waiting(Wait::Retry { .. }) => Err(Rejected::NotDue),
        _ => Err(Rejected::NotWaiting),
    }
}

pub(super) fn cancel(job: &Job) -> Transition {
    if job.state.is_terminal() {
        return Err(Rejected::Ended);
    }
    let stop = job.lease().map(|lease| Effect::Stop {
        worker: lease.worker,
        epoch: job.epoch,
    });
    let (job, mut effects) = become_state(job.clone(), State::Cancelled);
    effects.extend(stop);
    Ok((job, effects))
}

pub(super) fn retry(job: &Job) -> Transition {
    let State::Failed(failure) = &job.state else {
        return Err(Rejected::NotFailed);
    };
    // A turn whose parent failed has no input: it waits again, in case that one was retried as well.
    let state = match (failure.class, job.parent) {
        (FailureClass::Parent, Some(parent)) => State::Waiting(Wait::Turn(parent)),
        _ => State::Queued,
    };
    // The epoch stays: it may never name two claims.
    let (job, mut effects) = become_state(
        Job {
            attempts: 0,
            restarts: 0,
            hangs: 0,
            ..job.clone()
        },
        state,
    );
    effects.push(Effect::Reopen);
    Ok((job, effects))
}
