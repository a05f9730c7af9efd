//! The call that the engine is in, seen from other threads.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::RunId;

/// Times the editor's calls, so that the heartbeat can tell a call that hangs and how busy the engine is.
#[derive(Debug, Default)]
pub(crate) struct CallTimer(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    current: Option<Call>,
    /// Time spent in calls that have ended.
    busy: Duration,
}

#[derive(Clone, Debug)]
struct Call {
    began: Instant,
    /// When it last showed a sign of life; at first when it began.
    beat: Instant,
    runs: Vec<RunId>,
}

impl CallTimer {
    /// Notes that a call for these runs begins.
    pub(super) fn begin(&self, runs: &[RunId]) {
        let now = Instant::now();
        self.calls().current = Some(Call {
            began: now,
            beat: now,
            runs: runs.to_vec(),
        });
    }

    /// Notes that the call goes on: between the parts of a long one.
    pub(super) fn beat(&self) {
        if let Some(call) = &mut self.calls().current {
            call.beat = Instant::now();
        }
    }

    /// Notes that the call has ended, and returns how long it took.
    pub(super) fn end(&self) -> Duration {
        let mut calls = self.calls();
        let took = calls
            .current
            .take()
            .map_or(Duration::ZERO, |call| call.began.elapsed());
        calls.busy += took;
        took
    }

    /// The runs of a call that has shown no sign of life for longer than `after` by `now`.
    pub(crate) fn stalled(&self, now: Instant, after: Duration) -> Option<Vec<RunId>> {
        let calls = self.calls();
        let call = calls.current.as_ref()?;
        (now.saturating_duration_since(call.beat) > after).then(|| call.runs.clone())
    }

    /// Time spent in calls so far, the current one included.
    pub(crate) fn busy(&self) -> Duration {
        let calls = self.calls();
        let current = calls.current.as_ref().map(|call| call.began.elapsed());
        calls.busy + current.unwrap_or_default()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_stalls_by_its_silence_and_not_by_its_length() {
        let (timer, run) = (CallTimer::default(), RunId(7));
        let second = Duration::from_secs(1);
        assert_eq!(timer.stalled(Instant::now() + second, Duration::ZERO), None);
        timer.begin(&[run]);
        let later = Instant::now() + second;
        assert_eq!(timer.stalled(later, second / 2), Some(vec![run]));
        // A part that ended a second later.
        timer.calls().current.as_mut().unwrap().beat = later;
        assert_eq!(timer.stalled(later + second / 4, second / 2), None);
        assert_eq!(timer.stalled(later + second, second / 2), Some(vec![run]));
        timer.beat();
        assert_eq!(timer.stalled(Instant::now(), second), None);
        timer.end();
        assert_eq!(timer.stalled(later + second, Duration::ZERO), None);
    }
}
