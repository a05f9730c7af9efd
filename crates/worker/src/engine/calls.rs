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
    runs: Vec<RunId>,
}

impl CallTimer {
    /// Notes that a call for these runs begins.
    pub(super) fn begin(&self, runs: &[RunId]) {
        self.calls().current = Some(Call {
            began: Instant::now(),
            runs: runs.to_vec(),
        });
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

    /// The runs of a call that has taken longer than `after`.
    pub(crate) fn stalled(&self, after: Duration) -> Option<Vec<RunId>> {
        let calls = self.calls();
        let call = calls.current.as_ref()?;
        (call.began.elapsed() > after).then(|| call.runs.clone())
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
