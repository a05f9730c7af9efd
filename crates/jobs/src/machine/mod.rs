//! `apply`: the only rule by which an edit changes.

mod event;
mod lease;
mod transition;
mod turns;

use time::OffsetDateTime;

use crate::state::Job;

pub use event::{Effect, Event, Rejected};

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
        Event::StartOver { epoch } => lease::start_over(job, epoch),
        Event::Complete { epoch } => lease::complete(job, epoch),
        Event::Fail { epoch, failure } => lease::fail(job, epoch, failure, now),
        Event::HandBack { epoch } => lease::hand_back(job, epoch),
        Event::Expire => lease::expire(job, now),
        Event::Cancel => turns::cancel(job),
        Event::Retry => turns::retry(job),
    }
}
