//! Finds what hangs in the engine or beside it: calls that have shown no sign of life for longer than a call may.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::admission::Admission;
use crate::context::Context;
use crate::{RunId, Signal, metrics};

/// Looks three times a lease, whatever Postgres does meanwhile, and tells of the runs of a call that hangs; of none once the
/// engine goes on. They are given up here.
pub(crate) async fn run(ctx: &Context, stalled: watch::Sender<Vec<RunId>>) -> Infallible {
    let every = ctx.settings.lease_ttl / 3;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let detector = || StallDetector::new(ctx.settings.stall_after, every);
    let (mut engine, mut beside) = (detector(), detector());
    loop {
        ticks.tick().await;
        let (now, calls) = (Instant::now(), &ctx.engine.calls);
        let hanging = [
            engine.look(now, calls.engine.last_beat()),
            beside.look(now, calls.beside.last_beat()),
        ];
        let found = hanging.concat();
        let before = !stalled.borrow().is_empty();
        match (before, found.is_empty()) {
            (false, false) => report(ctx, found.len()),
            (true, true) => tracing::warn!("the engine goes on"),
            _ => {}
        }
        if !found.is_empty() {
            ctx.set_admission(Admission::Stalled);
            ctx.leases.hand_back_behind(&found);
            hanging.iter().for_each(|runs| ctx.leases.give_up(runs));
        }
        stalled.send_replace(found);
    }
}

fn report(ctx: &Context, edits: usize) {
    metrics::stalled();
    let after_s = ctx.settings.stall_after.as_secs_f64();
    tracing::error!(after_s, edits, "the engine hangs: its edits are given up");
    ctx.settings.signals.emit(Signal::Stalled);
}

/// Judges the silence of calls.
struct StallDetector {
    after: Duration,
    /// Time between two looks that is no sign of anything.
    gap_most: Duration,
    looked: Option<Instant>,
    /// When the process last woke up.
    awake_since: Option<Instant>,
    suspects: Vec<RunId>,
}

impl StallDetector {
    fn new(after: Duration, every: Duration) -> Self {
        Self {
            after,
            gap_most: 2 * every,
            looked: None,
            awake_since: None,
            suspects: Vec::new(),
        }
    }

    /// The runs of a call that has stalled; `call` is when it last showed a sign of life, and its runs.
    ///
    /// A process that was frozen did nothing, and neither did its engine: what went by between two looks that are far apart
    /// is held against nobody. A shorter freeze goes unseen, so a call must be silent for too long at two looks in a row.
    fn look(&mut self, now: Instant, call: Option<(Instant, Vec<RunId>)>) -> Vec<RunId> {
        let gap = self
            .looked
            .map(|looked| now.saturating_duration_since(looked));
        if gap.is_some_and(|gap| gap > self.gap_most) {
            self.awake_since = Some(now);
        }
        self.looked = Some(now);
        let silent = call.filter(|(beat, _)| {
            let since = self.awake_since.map_or(*beat, |awake| awake.max(*beat));
            now.saturating_duration_since(since) > self.after
        });
        let silent = silent.map(|(_, runs)| runs).unwrap_or_default();
        let confirmed = !silent.is_empty() && silent == self.suspects;
        self.suspects = silent;
        if confirmed {
            self.suspects.clone()
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A detector that looks every second for calls that are silent for ten.
    fn detector() -> (StallDetector, Instant) {
        (StallDetector::new(10 * SECOND, SECOND), Instant::now())
    }

    #[test]
    fn a_call_stalls_by_its_silence_and_not_by_its_length() {
        let (mut detector, began) = detector();
        let run = vec![RunId(7)];
        let mut look = |second: u32, beat: u32| {
            let at = |second: u32| began + second * SECOND;
            detector.look(at(second), Some((at(beat), run.clone())))
        };
        for second in 0..=11 {
            assert_eq!(look(second, 0), []);
        }
        // A part of it has ended.
        for second in 12..=21 {
            assert_eq!(look(second, 11), []);
        }
        assert_eq!(look(22, 11), [], "once may be a mistake");
        assert_eq!(look(23, 11), run);
        assert_eq!(look(24, 11), run);
        assert_eq!(look(25, 24), []);
        assert_eq!(detector.look(began + 99 * SECOND, None), []);
    }

    #[test]
    fn a_freeze_of_the_process_is_not_held_against_the_engine() {
        let (mut detector, began) = detector();
        let run = vec![RunId(7)];
        let mut look =
            |second: u32| detector.look(began + second * SECOND, Some((began, run.clone())));
        assert_eq!((look(0), look(1)), (vec![], vec![]));
        // Frozen for a minute, in a step that has nine seconds to go.
        for second in 61..=72 {
            assert_eq!(look(second), []);
        }
        assert_eq!(look(73), run, "it hangs all the same");
    }
}
