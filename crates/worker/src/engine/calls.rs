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

    /// The runs of the current call, and when it last showed a sign of life. None between calls.
    pub(crate) fn last_beat(&self) -> Option<(Instant, Vec<RunId>)> {
        let calls = self.calls();
        let call = calls.current.as_ref()?;
        Some((call.beat, call.runs.clone()))
    }

    /// The run's share of the current call so far.
    pub(crate) fn share(&self, run: RunId) -> Duration {
        let calls = self.calls();
        let of_run = calls
            .current
            .as_ref()
            .filter(|call| call.runs.contains(&run));
        of_run.map_or(Duration::ZERO, |call| {
            call.began.elapsed() / u32::try_from(call.runs.len()).unwrap_or(u32::MAX)
        })
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
    fn a_call_beats_while_it_goes_on() {
        let (timer, run) = (CallTimer::default(), RunId(7));
        assert_eq!(timer.last_beat(), None);
        timer.begin(&[run]);
        let (began, runs) = timer.last_beat().unwrap();
        assert_eq!(runs, [run]);
        assert!(timer.share(run) > timer.share(RunId(8)));
        timer.beat();
        assert!(timer.last_beat().unwrap().0 > began);
        timer.end();
        timer.beat();
        assert_eq!(timer.last_beat(), None);
    }
}
