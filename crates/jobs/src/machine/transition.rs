//! What all changes of an edit's state have in common.

use super::event::{Effect, Rejected};
use crate::events::EventKind;
use crate::state::{Job, State};

/// The job after an event, with the event's effects.
pub(super) type Transition = Result<(Job, Vec<Effect>), Rejected>;

/// The job with one more event in its history.
pub(super) fn log(job: Job, kind: EventKind) -> (Job, Vec<Effect>) {
    let seq = job.seq + 1;
    (Job { seq, ..job }, vec![Effect::Log { seq, kind }])
}

/// The job in another state, with the effects that every way into that state has.
pub(super) fn become_state(job: Job, state: State) -> (Job, Vec<Effect>) {
    let kind = state.event();
    let (job, mut effects) = log(Job { state, ..job }, kind);
    match job.state {
        State::Queued => effects.push(Effect::Announce),
        State::Succeeded | State::Failed(_) | State::Cancelled => effects.push(Effect::Settle),
        State::Waiting(_) | State::Running(_) => {}
    }
    (job, effects)
}
