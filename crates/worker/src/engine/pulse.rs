//! Whether the engine still beats: what it is called for, and since when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Ticket;

/// The calls of an editor, seen from another thread.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    now: Option<Call>,
    busy: Duration,
}

#[derive(Clone, Debug)]
struct Call {
    began: Instant,
    tickets: Vec<Ticket>,
}

impl Pulse {
    /// A call for these edits begins.
    pub(super) fn begin(&self, tickets: &[Ticket]) {
        self.calls().now = Some(Call {
            began: Instant::now(),
            tickets: tickets.to_vec(),
        });
    }

    /// The call has ended; how long it took.
    pub(super) fn end(&self) -> Duration {
        let mut calls = self.calls();
        let took = calls
            .now
            .take()
            .map_or(Duration::ZERO, |call| call.began.elapsed());
        calls.busy += took;
        took
    }

    /// The edits of a call that has taken longer than `after`.
    pub(crate) fn stalled(&self, after: Duration) -> Option<Vec<Ticket>> {
        let calls = self.calls();
        let call = calls.now.as_ref()?;
        (call.began.elapsed() > after).then(|| call.tickets.clone())
    }

    /// Time spent in calls so far.
    pub(crate) fn busy(&self) -> Duration {
        let calls = self.calls();
        let now = calls.now.as_ref().map(|call| call.began.elapsed());
        calls.busy + now.unwrap_or_default()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
