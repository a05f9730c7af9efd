//! What workers and the reaper do to an edit.

use super::event::{Effect, Rejected};
use super::transition::{Transition, become_state, log};
use crate::backoff::backoff;
use crate::events::EventKind;
use crate::ids::WorkerId;
use crate::state::{Epoch, Failure, FailureClass, Job, Lease, State, Wait};
use time::OffsetDateTime;

/// The lease of this epoch, or `Stale`. Time does not matter: until the reaper has taken it, a lease holds.
fn fenced(job: &Job, epoch: Epoch) -> Result<&Lease, Rejected> {
    job.lease()
        .filter(|_| job.epoch == epoch)
        .ok_or(Rejected::Stale)
}

pub(super) fn claim(job: &Job, worker: WorkerId, expires_at: OffsetDateTime) -> Transition {
    match (&job.state, job.epoch.next()) {
        (State::Queued, Some(epoch)) => {
            let claimed = Job {
                epoch,
                claim_step: job.checkpoint_step,
                ..job.clone()
            };
            Ok(become_state(
                claimed,
                State::Running(Lease { worker, expires_at }),
            ))
        }
        _ => Err(Rejected::NotClaimable),
    }
}

pub(super) fn renew(job: &Job, epoch: Epoch, expires_at: OffsetDateTime) -> Transition {
    let lease = fenced(job, epoch)?;
    // Renewals may overtake each other on their way; none shortens the lease.
    let renewed = Lease {
        expires_at: lease.expires_at.max(expires_at),
        ..*lease
    };
    Ok((
        Job {
            state: State::Running(renewed),
            ..job.clone()
        },
        Vec::new(),
    ))
}

pub(super) fn progress(job: &Job, epoch: Epoch) -> Transition {
    fenced(job, epoch)?;
    Ok(log(job.clone(), EventKind::Progress))
}

pub(super) fn checkpoint(job: &Job, epoch: Epoch, step: u32) -> Transition {
    fenced(job, epoch)?;
    if step <= job.checkpoint_step {
        return Err(Rejected::OldCheckpoint);
    }
    Ok((
        Job {
            checkpoint_step: step,
            ..job.clone()
        },
        Vec::new(),
    ))
}

pub(super) fn start_over(job: &Job, epoch: Epoch) -> Transition {
    fenced(job, epoch)?;
    let restarts = job
        .restarts
        .saturating_add(u16::from(job.checkpoint_step > 0));
    // Steps count from 0 again, or the checkpoints that follow would be refused as older ones.
    Ok((
        Job {
            checkpoint_step: 0,
            claim_step: 0,
            restarts,
            ..job.clone()
        },
        Vec::new(),
    ))
}

pub(super) fn complete(job: &Job, epoch: Epoch) -> Transition {
    fenced(job, epoch)?;
    Ok(become_state(job.clone(), State::Succeeded))
}

pub(super) fn fail(job: &Job, epoch: Epoch, failure: Failure, now: OffsetDateTime) -> Transition {
    fenced(job, epoch)?;
    if failure.class == FailureClass::User {
        return Ok(become_state(job.clone(), State::Failed(failure)));
    }
    let hung = matches!(failure.class, FailureClass::Hang | FailureClass::Suspect);
    let attempts = job.attempts.saturating_add(1);
    let hangs = job.hangs.saturating_add(u16::from(hung));
    let wait = || {
        State::Waiting(Wait::Retry {
            until: now + backoff(attempts, job.edit, job.epoch),
        })
    };
    // Any of those in the call may be to blame. Alone, it will show; a worker that does not know this is believed the second time.
    if failure.class == FailureClass::Suspect && job.hangs == 0 {
        let job = Job {
            hangs,
            ..job.clone()
        };
        return Ok(become_state(job, wait()));
    }
    let state = if attempts >= job.max_attempts || (hung && hangs >= Job::HANGS_MAX) {
        State::Failed(Failure {
            class: if hung {
                FailureClass::Hang
            } else {
                FailureClass::Internal
            },
            ..failure
        })
    } else {
        wait()
    };
    Ok(become_state(
        Job {
            attempts,
            hangs,
            ..job.clone()
        },
        state,
    ))
}

pub(super) fn hand_back(job: &Job, epoch: Epoch) -> Transition {
    fenced(job, epoch)?;
    Ok(become_state(job.clone(), State::Queued))
}

pub(super) fn expire(job: &Job, now: OffsetDateTime) -> Transition {
    let lease = job.lease().ok_or(Rejected::Stale)?;
    if now < lease.expires_at {
        return Err(Rejected::NotDue);
    }
    let stop = Effect::Stop {
        worker: lease.worker,
        epoch: job.epoch,
    };
    // Every checkpoint is newer than the last, but for those after a start over, of which only so many excuse a death. So an
    // edit that kills all its workers cannot go uncharged for ever.
    let progressed = job.checkpoint_step > job.claim_step && job.restarts < job.max_attempts;
    let attempts = if progressed {
        job.attempts
    } else {
        job.attempts.saturating_add(1)
    };
    let state = if !progressed && attempts >= job.max_attempts {
        let message = format!("{attempts} workers died with this edit, none with progress");
        State::Failed(Failure::new(
            FailureClass::Poison,
            Failure::WORKER_DIED,
            message,
        ))
    } else {
        State::Queued
    };
    let (job, mut effects) = become_state(
        Job {
            attempts,
            ..job.clone()
        },
        state,
    );
    effects.push(stop);
    Ok((job, effects))
}
