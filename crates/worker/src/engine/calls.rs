//! What the engine computes just now, seen from other threads; and where its time went.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::RunId;

/// The calls of the engine's thread, and what is done beside it.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    pub(crate) engine: CallTimer,
    pub(crate) beside: CallTimer,
}

impl Timers {
    /// The run's share of what is computed just now.
    pub(crate) fn share(&self, run: RunId) -> Duration {
        self.engine.share(run) + self.beside.share(run)
    }
}

/// Times calls, so that the heartbeat can tell a call that hangs, and how busy the network is.
#[derive(Debug, Default)]
pub(crate) struct CallTimer(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    current: Option<Call>,
    /// Since when there are edits; none while there are none.
    open_since: Option<Instant>,
    spent: Spent,
}

/// Where time went so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// In calls of the network.
    pub(crate) network: Duration,
    /// With at least one edit there, whatever happened to it.
    pub(crate) open: Duration,
    /// Calls of the network that have ended.
    pub(crate) calls: u64,
    /// Of these, for more than one edit.
    pub(crate) shared: u64,
}

impl Spent {
    /// The share of the time with edits in which the network computed, since `before`; none where there were no edits.
    pub(crate) fn network_share(self, before: Self) -> Option<f64> {
        let open = self.open.saturating_sub(before.open).as_secs_f64();
        let network = self.network.saturating_sub(before.network).as_secs_f64();
        (open > 0.0).then(|| (network / open).min(1.0))
    }
}

#[derive(Clone, Debug)]
struct Call {
    began: Instant,
    /// When it last showed a sign of life; at first when it began.
    beat: Instant,
    runs: Vec<RunId>,
    /// Whether it is the network's.
    network: bool,
}

impl CallTimer {
    /// Notes that a call for these runs begins, of the network or not.
    pub(super) fn begin(&self, runs: &[RunId], network: bool) {
        let now = Instant::now();
        self.calls().current = Some(Call {
            began: now,
            beat: now,
            runs: runs.to_vec(),
            network,
        });
    }

    /// Notes that there are edits, or none.
    pub(super) fn open(&self, open: bool) {
        let mut calls = self.calls();
        match (open, calls.open_since) {
            (true, None) => calls.open_since = Some(Instant::now()),
            (false, Some(since)) => {
                calls.spent.open += since.elapsed();
                calls.open_since = None;
            }
            _ => {}
        }
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
        let Some(call) = calls.current.take() else {
            return Duration::ZERO;
        };
        let took = call.began.elapsed();
        if call.network {
            calls.spent.network += took;
            calls.spent.calls += 1;
            calls.spent.shared += u64::from(call.runs.len() > 1);
        }
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

    /// Where time went so far, the current call included.
    pub(crate) fn spent(&self) -> Spent {
        let calls = self.calls();
        let mut spent = calls.spent;
        if let Some(call) = calls.current.as_ref().filter(|call| call.network) {
            spent.network += call.began.elapsed();
        }
        if let Some(since) = calls.open_since {
            spent.open += since.elapsed();
        }
        spent
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
        timer.begin(&[run], true);
        let (began, runs) = timer.last_beat().unwrap();
        assert_eq!(runs, [run]);
        assert!(timer.share(run) > timer.share(RunId(8)));
        timer.beat();
        assert!(timer.last_beat().unwrap().0 > began);
        timer.end();
        timer.beat();
        assert_eq!(timer.last_beat(), None);
    }

    #[test]
    fn time_without_edits_is_held_against_nobody() {
        let timer = CallTimer::default();
        let before = timer.spent();
        assert_eq!(timer.spent().network_share(before), None);
        timer.open(true);
        timer.open(true);
        timer.begin(&[RunId(1)], true);
        timer.end();
        timer.open(false);
        let worked = timer.spent();
        assert!(worked.network <= worked.open && worked.open > Duration::ZERO);
        assert!(worked.network_share(before).unwrap() <= 1.0);
        timer.begin(&[RunId(1)], false);
        timer.end();
        assert_eq!(timer.spent().network, worked.network);
        assert_eq!(timer.spent().network_share(worked), None);
    }
}
