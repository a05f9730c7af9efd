//! What holds of an edit whatever happens to it, in any order.

use limekiln_jobs::{
    EditId, Effect, Epoch, Event, EventKind, Failure, FailureClass, Job, Rejected, State,
    StateName, Wait, WorkerId, apply,
};
use proptest::prelude::*;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// An event whose epoch is told relative to the edit's own, so that both right and wrong ones are common.
#[derive(Clone, Debug)]
enum Op {
    ParentSucceeded,
    ParentEnded,
    RetryDue,
    Claim { worker: u8, ttl_s: u64 },
    Renew { back: u32, ttl_s: u64 },
    Progress { back: u32 },
    Checkpoint { back: u32, step: u32 },
    StartOver { back: u32 },
    Complete { back: u32 },
    Fail { back: u32, class: FailureClass },
    HandBack { back: u32 },
    Expire,
    Cancel,
    Retry,
}

fn op() -> impl Strategy<Value = Op> {
    let back = || prop_oneof![6 => Just(0_u32), 1 => 1_u32..4];
    let class = prop_oneof![
        1 => Just(FailureClass::User),
        6 => Just(FailureClass::Internal),
        2 => Just(FailureClass::Hang),
        1 => Just(FailureClass::Suspect),
        1 => Just(FailureClass::Poison),
        1 => Just(FailureClass::Parent),
    ];
    prop_oneof![
        1 => Just(Op::ParentSucceeded),
        1 => Just(Op::ParentEnded),
        4 => Just(Op::RetryDue),
        8 => (0_u8..3, 0_u64..40).prop_map(|(worker, ttl_s)| Op::Claim { worker, ttl_s }),
        3 => (back(), 0_u64..40).prop_map(|(back, ttl_s)| Op::Renew { back, ttl_s }),
        3 => back().prop_map(|back| Op::Progress { back }),
        3 => (back(), 0_u32..60).prop_map(|(back, step)| Op::Checkpoint { back, step }),
        1 => back().prop_map(|back| Op::StartOver { back }),
        1 => back().prop_map(|back| Op::Complete { back }),
        3 => (back(), class).prop_map(|(back, class)| Op::Fail { back, class }),
        3 => back().prop_map(|back| Op::HandBack { back }),
        5 => Just(Op::Expire),
        1 => Just(Op::Cancel),
        2 => Just(Op::Retry),
    ]
}

/// Ops, each with the seconds before it.
fn history() -> impl Strategy<Value = Vec<(i64, Op)>> {
    prop::collection::vec((0_i64..30, op()), 0..120)
}

fn start() -> impl Strategy<Value = Job> {
    (any::<bool>(), any::<bool>(), 1_u16..5, any::<u128>()).prop_map(
        |(turn, succeeded, max_attempts, bits)| {
            let edit = EditId::from(Uuid::from_u128(bits));
            if turn {
                Job::turn(edit, Uuid::from_u128(!bits).into(), succeeded, max_attempts)
            } else {
                Job::new(edit, max_attempts)
            }
        },
    )
}

fn event(op: &Op, job: &Job) -> Event {
    let at = |back: u32| Epoch::new(job.epoch.get().wrapping_sub(back));
    match *op {
        Op::ParentSucceeded => Event::ParentSucceeded,
        Op::ParentEnded => Event::ParentEnded,
        Op::RetryDue => Event::RetryDue,
        Op::Claim { worker, ttl_s } => Event::Claim {
            worker: Uuid::from_u128(worker.into()).into(),
            ttl: Duration::from_secs(ttl_s),
        },
        Op::Renew { back, ttl_s } => Event::Renew {
            epoch: at(back),
            ttl: Duration::from_secs(ttl_s),
        },
        Op::Progress { back } => Event::Progress { epoch: at(back) },
        Op::Checkpoint { back, step } => Event::Checkpoint {
            epoch: at(back),
            step,
        },
        Op::StartOver { back } => Event::StartOver { epoch: at(back) },
        Op::Complete { back } => Event::Complete { epoch: at(back) },
        Op::Fail { back, class } => Event::Fail {
            epoch: at(back),
            failure: Failure::new(class, "out_of_memory", "no"),
        },
        Op::HandBack { back } => Event::HandBack { epoch: at(back) },
        Op::Expire => Event::Expire,
        Op::Cancel => Event::Cancel,
        Op::Retry => Event::Retry,
    }
}

/// The epoch that a worker's event names.
fn fence(event: &Event) -> Option<Epoch> {
    match *event {
        Event::Renew { epoch, .. }
        | Event::Progress { epoch }
        | Event::Checkpoint { epoch, .. }
        | Event::StartOver { epoch }
        | Event::Complete { epoch }
        | Event::Fail { epoch, .. }
        | Event::HandBack { epoch } => Some(epoch),
        _ => None,
    }
}

/// Runs a history and hands every accepted step to `check`; rejections to `refused`.
fn run(
    mut job: Job,
    history: &[(i64, Op)],
    mut check: impl FnMut(&Job, &Event, &Job, &[Effect], OffsetDateTime) -> Result<(), TestCaseError>,
    mut refused: impl FnMut(&Job, &Event, Rejected, OffsetDateTime) -> Result<(), TestCaseError>,
) -> Result<Job, TestCaseError> {
    let mut now = START;
    for (seconds, op) in history {
        now += time::Duration::seconds(*seconds);
        let event = event(op, &job);
        match apply(&job, event.clone(), now) {
            Ok((next, effects)) => {
                check(&job, &event, &next, &effects, now)?;
                job = next;
            }
            Err(why) => refused(&job, &event, why, now)?,
        }
    }
    Ok(job)
}

fn skip(_: &Job, _: &Event, _: Rejected, _: OffsetDateTime) -> Result<(), TestCaseError> {
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// A lease has one holder: it is given to nobody while it is held, and every claim has an epoch of its own.
    #[test]
    fn at_most_one_lease(job in start(), history in history()) {
        let mut claims: Vec<(Epoch, WorkerId)> = Vec::new();
        run(job, &history, |before, event, after, _, _| {
            if let Event::Claim { worker, .. } = event {
                prop_assert!(before.lease().is_none());
                prop_assert!(claims.last().is_none_or(|(epoch, _)| *epoch < after.epoch));
                claims.push((after.epoch, *worker));
            } else {
                prop_assert_eq!(before.epoch, after.epoch);
            }
            if let Some(lease) = after.lease() {
                prop_assert_eq!(claims.last(), Some(&(after.epoch, lease.worker)));
            }
            Ok(())
        }, skip)?;
    }

    /// Nothing but a retry by hand leaves an end, and that leaves a failure only.
    #[test]
    fn an_end_is_final(job in start(), history in history()) {
        run(job, &history, |before, event, after, effects, _| {
            if before.state.is_terminal() {
                prop_assert_eq!(before.state.name(), StateName::Failed);
                prop_assert_eq!(event, &Event::Retry);
                prop_assert_eq!(after.attempts, 0);
            }
            prop_assert_eq!(effects.contains(&Effect::Reopen), before.state.is_terminal());
            prop_assert_eq!(effects.contains(&Effect::Settle), after.state.is_terminal());
            Ok(())
        }, skip)?;
    }

    /// A worker's event under another epoch, or without a lease, is stale; under the lease's it is not.
    #[test]
    fn another_epoch_changes_nothing(job in start(), history in history()) {
        run(job, &history, |before, event, _, _, _| {
            if let Some(epoch) = fence(event) {
                prop_assert!(before.lease().is_some() && before.epoch == epoch);
            }
            Ok(())
        }, |before, event, why, _| {
            if let Some(epoch) = fence(event) {
                let held = before.lease().is_some() && before.epoch == epoch;
                prop_assert_eq!(why, if held { Rejected::OldCheckpoint } else { Rejected::Stale });
            }
            Ok(())
        })?;
    }

    /// Attempts are charged for failures, and for deaths without a newer checkpoint; never beyond the limit.
    #[test]
    fn attempts_count_what_went_wrong(job in start(), history in history()) {
        // Steps of checkpoints since the last claim, counted here on their own.
        let mut checkpoints = 0;
        run(job, &history, |before, event, after, _, _| {
            let charged = match event {
                Event::Claim { .. } => { checkpoints = 0; 0 }
                Event::Checkpoint { .. } => { checkpoints += 1; 0 }
                Event::StartOver { .. } => { checkpoints = 0; 0 }
                Event::Fail { failure, .. } => match failure.class {
                    FailureClass::User => 0,
                    FailureClass::Suspect => before.hangs.min(1),
                    _ => 1,
                },
                Event::Expire => u16::from(checkpoints == 0 || before.restarts >= before.max_attempts),
                _ => 0,
            };
            let base = if *event == Event::Retry { 0 } else { before.attempts };
            prop_assert_eq!(after.attempts, base + charged);
            prop_assert!(after.attempts <= after.max_attempts);
            if !after.state.is_terminal() {
                prop_assert!(after.attempts < after.max_attempts);
            }
            if after.state.name() == StateName::Failed && charged > 0 {
                prop_assert!(after.attempts == after.max_attempts || after.hangs == Job::HANGS_MAX);
            }
            prop_assert!(after.hangs <= Job::HANGS_MAX);
            Ok(())
        }, skip)?;
    }

    /// Every change of state and every progress is one entry in the history, numbered without gaps; nothing else is.
    #[test]
    fn the_history_has_no_gaps(job in start(), history in history()) {
        run(job, &history, |before, event, after, effects, _| {
            let told: Vec<_> = effects.iter().filter_map(|effect| match effect {
                Effect::Log { seq, kind } => Some((*seq, *kind)),
                _ => None,
            }).collect();
            let expected = match event {
                Event::Progress { .. } => vec![(before.seq + 1, EventKind::Progress)],
                Event::Renew { .. } | Event::Checkpoint { .. } | Event::StartOver { .. } => vec![],
                _ => vec![(before.seq + 1, after.state.event())],
            };
            prop_assert_eq!(after.seq, before.seq + expected.len() as u64);
            prop_assert_eq!(told, expected);
            Ok(())
        }, skip)?;
    }

    /// Whoever becomes claimable is announced, and whoever loses a lease against his will is told.
    #[test]
    fn those_concerned_are_told(job in start(), history in history()) {
        run(job, &history, |before, event, after, effects, _| {
            prop_assert_eq!(effects.contains(&Effect::Announce), after.state == State::Queued);
            let taken = matches!(event, Event::Expire | Event::Cancel);
            let stop = before.lease().filter(|_| taken).map(|lease| Effect::Stop { worker: lease.worker, epoch: before.epoch });
            prop_assert_eq!(effects.iter().find(|effect| matches!(effect, Effect::Stop { .. })), stop.as_ref());
            Ok(())
        }, skip)?;
    }

    /// The reaper takes no lease before its time, and every one at it; a renewal never shortens one.
    #[test]
    fn leases_last_as_long_as_they_say(job in start(), history in history()) {
        run(job, &history, |before, event, after, _, now| {
            match (event, before.lease(), after.lease()) {
                (Event::Expire, Some(lease), None) => prop_assert!(now >= lease.expires_at),
                (Event::Renew { ttl, .. }, Some(old), Some(new)) => {
                    prop_assert_eq!(new.expires_at, old.expires_at.max(now + *ttl));
                    prop_assert_eq!(new.worker, old.worker);
                }
                (Event::RetryDue, ..) => {
                    let due = matches!(before.state, State::Waiting(Wait::Retry { until }) if now >= until);
                    prop_assert!(due);
                }
                _ => {}
            }
            Ok(())
        }, |before, event, why, now| {
            if let (Event::Expire, Some(lease)) = (event, before.lease()) {
                prop_assert_eq!(why, Rejected::NotDue);
                prop_assert!(now < lease.expires_at);
            }
            Ok(())
        })?;
    }

    /// Wherever a history leaves an edit, a worker that does its work ends it, and so do workers that keep dying.
    #[test]
    fn nothing_is_stuck(job in start(), history in history(), lucky in any::<bool>()) {
        let mut job = run(job, &history, |_, _, _, _, _| Ok(()), skip)?;
        let mut now = START + time::Duration::days(1);
        let mut events = 0;
        while !job.state.is_terminal() {
            let event = match job.state {
                State::Waiting(Wait::Turn(_)) => Event::ParentSucceeded,
                State::Waiting(Wait::Retry { .. }) => Event::RetryDue,
                State::Queued => Event::Claim { worker: WorkerId::new(), ttl: Duration::from_secs(15) },
                State::Running(_) if lucky => Event::Complete { epoch: job.epoch },
                _ => Event::Expire,
            };
            now += time::Duration::days(1);
            job = apply(&job, event, now).map_err(|why| TestCaseError::fail(format!("{why} in {:?}", job.state)))?.0;
            events += 1;
            prop_assert!(events <= 2 * usize::from(job.max_attempts) + 4);
        }
        if events > 0 {
            prop_assert_eq!(job.state.name() == StateName::Succeeded, lucky);
        }
    }

    /// An edit whose checkpoints never work and whose workers die after each new one ends, too.
    #[test]
    fn starting_over_is_no_way_to_live_for_ever(max_attempts in 1_u16..10) {
        let mut job = Job::new(EditId::new(), max_attempts);
        let mut now = START;
        let mut claims = 0;
        while !job.state.is_terminal() {
            claims += 1;
            prop_assert!(claims <= 2 * max_attempts + 1);
            let epoch = job.epoch.next().unwrap();
            for event in [
                Event::Claim { worker: WorkerId::new(), ttl: Duration::from_secs(15) },
                Event::StartOver { epoch },
                Event::Checkpoint { epoch, step: 5 },
                Event::Expire,
            ] {
                now += time::Duration::minutes(1);
                job = apply(&job, event, now).map_err(|why| TestCaseError::fail(why.to_string()))?.0;
            }
        }
        prop_assert_eq!(job.attempts, max_attempts);
    }
}
