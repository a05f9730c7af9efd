//! Single stories of edits, each told to its end.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use limekiln_jobs::{
    EditId, Effect, Epoch, Event, EventKind, Failure, FailureClass, Job, Rejected, State,
    StateName, Wait, WorkerId, apply, backoff,
};
use std::time::Duration;
use time::OffsetDateTime;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const TTL: Duration = Duration::from_secs(15);

fn after(job: &Job, events: impl IntoIterator<Item = Event>) -> Job {
    events.into_iter().fold(job.clone(), |job, event| {
        match apply(&job, event.clone(), NOW) {
            Ok((next, _)) => next,
            Err(why) => panic!("{event:?} in {:?}: {why}", job.state),
        }
    })
}

fn claim() -> Event {
    Event::Claim {
        worker: WorkerId::new(),
        ttl: TTL,
    }
}

/// The job after its worker's death, `TTL` later.
fn death(job: &Job) -> Job {
    apply(job, Event::Expire, NOW + TTL).unwrap().0
}

fn failure(job: &Job) -> &Failure {
    match &job.state {
        State::Failed(failure) => failure,
        other => panic!("not failed but {other:?}"),
    }
}

#[test]
fn claimed_and_completed() {
    let job = Job::new(EditId::new(), 3);
    let worker = WorkerId::new();
    let (running, effects) = apply(&job, Event::Claim { worker, ttl: TTL }, NOW).unwrap();
    assert_eq!(
        effects,
        [Effect::Log {
            seq: 2,
            kind: EventKind::Started
        }]
    );
    assert_eq!(running.epoch, Epoch::new(1));
    assert_eq!(
        running
            .lease()
            .map(|lease| (lease.worker, lease.expires_at)),
        Some((worker, NOW + TTL))
    );
    let (done, effects) = apply(
        &running,
        Event::Complete {
            epoch: running.epoch,
        },
        NOW,
    )
    .unwrap();
    assert_eq!(done.state, State::Succeeded);
    assert_eq!(
        effects,
        [
            Effect::Log {
                seq: 3,
                kind: EventKind::Succeeded
            },
            Effect::Settle
        ]
    );
}

#[test]
fn a_second_worker_cannot_claim_and_the_first_is_refused_after_the_reaper() {
    let first = after(&Job::new(EditId::new(), 3), [claim()]);
    assert_eq!(apply(&first, claim(), NOW), Err(Rejected::NotClaimable));
    assert_eq!(
        apply(&first, Event::Expire, NOW + TTL - Duration::from_nanos(1)),
        Err(Rejected::NotDue)
    );
    // Late, but not yet taken: the lease holds.
    assert!(
        apply(
            &first,
            Event::Progress { epoch: first.epoch },
            NOW + 10 * TTL
        )
        .is_ok()
    );
    let second = after(&death(&first), [claim()]);
    assert_eq!(second.epoch, Epoch::new(2));
    for late in [
        Event::Renew {
            epoch: first.epoch,
            ttl: TTL,
        },
        Event::Progress { epoch: first.epoch },
        Event::Checkpoint {
            epoch: first.epoch,
            step: 9,
        },
        Event::Complete { epoch: first.epoch },
        Event::Fail {
            epoch: first.epoch,
            failure: Failure::new(FailureClass::User, "bad_image", "no"),
        },
        Event::HandBack { epoch: first.epoch },
    ] {
        assert_eq!(apply(&second, late, NOW), Err(Rejected::Stale));
    }
}

#[test]
fn an_edit_that_kills_its_workers_is_poison() {
    let mut job = Job::new(EditId::new(), 3);
    for attempts in 1..=3 {
        job = death(&after(&job, [claim()]));
        assert_eq!(job.attempts, attempts);
    }
    assert_eq!(
        (failure(&job).class, failure(&job).code.as_str()),
        (FailureClass::Poison, "worker_died")
    );
}

#[test]
fn spot_machines_that_go_away_are_no_poison() {
    let mut job = Job::new(EditId::new(), 1);
    for step in 1..=20 {
        job = after(&job, [claim()]);
        let epoch = job.epoch;
        job = death(&after(&job, [Event::Checkpoint { epoch, step }]));
        assert_eq!((&job.state, job.attempts), (&State::Queued, 0));
        job = after(&job, [claim()]);
        let epoch = job.epoch;
        job = after(&job, [Event::HandBack { epoch }]);
        assert_eq!((&job.state, job.attempts), (&State::Queued, 0));
    }
    // Progress counts from the claim: the checkpoint of an earlier one is none.
    assert_eq!(
        failure(&death(&after(&job, [claim()]))).class,
        FailureClass::Poison
    );
}

#[test]
fn a_checkpoint_is_newer_or_nothing() {
    let job = after(
        &Job::new(EditId::new(), 3),
        [
            claim(),
            Event::Checkpoint {
                epoch: Epoch::new(1),
                step: 5,
            },
        ],
    );
    for step in [0, 4, 5] {
        assert_eq!(
            apply(
                &job,
                Event::Checkpoint {
                    epoch: job.epoch,
                    step
                },
                NOW
            ),
            Err(Rejected::OldCheckpoint)
        );
    }
    let (newer, effects) = apply(
        &job,
        Event::Checkpoint {
            epoch: job.epoch,
            step: 6,
        },
        NOW,
    )
    .unwrap();
    assert_eq!(
        (newer.checkpoint_step, newer.seq, effects.len()),
        (6, job.seq, 0)
    );
}

#[test]
fn failures_of_ours_are_retried_and_the_users_are_not() {
    let internal = || {
        Failure::new(
            FailureClass::Internal,
            "out_of_memory",
            "the device is full",
        )
    };
    let job = after(&Job::new(EditId::new(), 2), [claim()]);
    let retrying = after(
        &job,
        [Event::Fail {
            epoch: job.epoch,
            failure: internal(),
        }],
    );
    let until = NOW + backoff(1, job.edit, job.epoch);
    assert_eq!(
        (&retrying.state, retrying.attempts),
        (&State::Waiting(Wait::Retry { until }), 1)
    );
    assert_eq!(
        apply(&retrying, Event::RetryDue, until - Duration::from_nanos(1)),
        Err(Rejected::NotDue)
    );
    let (queued, _) = apply(&retrying, Event::RetryDue, until).unwrap();
    let again = after(&queued, [claim()]);
    let failed = after(
        &again,
        [Event::Fail {
            epoch: again.epoch,
            failure: internal(),
        }],
    );
    assert_eq!((failure(&failed), failed.attempts), (&internal(), 2));

    let user = Failure::new(FailureClass::User, "bad_image", "the image is empty");
    let failed = after(
        &job,
        [Event::Fail {
            epoch: job.epoch,
            failure: user.clone(),
        }],
    );
    assert_eq!((failure(&failed), failed.attempts), (&user, 0));
}

#[test]
fn two_hangs_end_an_edit_whatever_its_attempts() {
    let hang = |job: &Job| {
        let job = after(job, [claim()]);
        let failure = Failure::new(FailureClass::Hang, Failure::ENGINE_HUNG, "silence");
        let epoch = job.epoch;
        after(&job, [Event::Fail { epoch, failure }])
    };
    let due = |job: &Job| apply(job, Event::RetryDue, NOW + 100 * TTL).unwrap().0;
    let once = hang(&Job::new(EditId::new(), 10));
    assert_eq!(
        (once.state.name(), once.attempts, once.hangs),
        (StateName::Waiting, 1, 1)
    );
    // Another failure between the two changes nothing.
    let between = after(&due(&once), [claim()]);
    let epoch = between.epoch;
    let failure = Failure::new(FailureClass::Internal, "engine_failed", "it broke");
    let between = after(&between, [Event::Fail { epoch, failure }]);
    assert_eq!((between.attempts, between.hangs), (2, 1));
    let twice = hang(&due(&between));
    assert_eq!(
        (failure_of(&twice), twice.attempts),
        (FailureClass::Hang, 3)
    );
    let again = after(&twice, [Event::Retry]);
    assert_eq!((again.attempts, again.hangs), (0, 0));
    // And the attempts count as ever.
    assert_eq!(
        failure_of(&hang(&Job::new(EditId::new(), 1))),
        FailureClass::Hang
    );
}

#[test]
fn a_hang_among_others_is_charged_to_nobody_until_it_comes_alone() {
    let fail = |job: &Job, class| {
        let job = after(job, [claim()]);
        let failure = Failure::new(class, Failure::ENGINE_HUNG, "silence");
        let epoch = job.epoch;
        after(&job, [Event::Fail { epoch, failure }])
    };
    let due = |job: &Job| apply(job, Event::RetryDue, NOW + 100 * TTL).unwrap().0;
    let once = fail(&Job::new(EditId::new(), 1), FailureClass::Suspect);
    assert_eq!(
        (once.state.name(), once.attempts, once.hangs),
        (StateName::Waiting, 0, 1)
    );
    // Alone it hangs again, or not: then nothing was charged.
    let alone = fail(&due(&once), FailureClass::Hang);
    assert_eq!(
        (failure_of(&alone), alone.attempts),
        (FailureClass::Hang, 1)
    );
    let innocent = after(&due(&once), [claim()]);
    let epoch = innocent.epoch;
    let innocent = after(&innocent, [Event::Complete { epoch }]);
    assert_eq!(
        (innocent.state.name(), innocent.attempts),
        (StateName::Succeeded, 0)
    );
    // A worker that lets it compute among others all the same.
    let twice = fail(&due(&once), FailureClass::Suspect);
    assert_eq!(
        (failure_of(&twice), twice.attempts),
        (FailureClass::Hang, 1)
    );
}

fn failure_of(job: &Job) -> FailureClass {
    failure(job).class
}

#[test]
fn a_worker_cannot_pass_the_coordinators_verdicts() {
    let job = after(&Job::new(EditId::new(), 1), [claim()]);
    for class in [FailureClass::Poison, FailureClass::Parent] {
        let failed = after(
            &job,
            [Event::Fail {
                epoch: job.epoch,
                failure: Failure::new(class, "x", "y"),
            }],
        );
        assert_eq!(failure(&failed).class, FailureClass::Internal);
    }
}

#[test]
fn turns_wait_for_the_turn_they_build_on() {
    let (edit, parent) = (EditId::new(), EditId::new());
    assert_eq!(Job::turn(edit, parent, true, 3).state, State::Queued);
    let waiting = Job::turn(edit, parent, false, 3);
    assert_eq!(waiting.state, State::Waiting(Wait::Turn(parent)));
    assert_eq!(apply(&waiting, claim(), NOW), Err(Rejected::NotClaimable));
    assert_eq!(
        apply(&waiting, Event::RetryDue, NOW),
        Err(Rejected::NotWaiting)
    );
    assert_eq!(
        after(&waiting, [Event::ParentSucceeded]).state,
        State::Queued
    );

    let failed = after(&waiting, [Event::ParentEnded]);
    assert_eq!(
        (failure(&failed).class, failure(&failed).code.as_str()),
        (FailureClass::Parent, "parent_failed")
    );
    // By hand it waits again: its parent may have been retried, too.
    assert_eq!(
        after(&failed, [Event::Retry]).state,
        State::Waiting(Wait::Turn(parent))
    );
}

#[test]
fn cancelled_at_once_wherever_it_stands() {
    let edit = EditId::new();
    let queued = Job::new(edit, 3);
    let running = after(&queued, [claim()]);
    let failing = Event::Fail {
        epoch: running.epoch,
        failure: Failure::new(FailureClass::Internal, "x", "y"),
    };
    let retrying = after(&running, [failing]);
    let waiting = Job::turn(edit, EditId::new(), false, 3);
    for job in [&queued, &running, &retrying, &waiting] {
        let (cancelled, effects) = apply(job, Event::Cancel, NOW).unwrap();
        assert_eq!(cancelled.state, State::Cancelled);
        let stop = job.lease().map(|lease| Effect::Stop {
            worker: lease.worker,
            epoch: job.epoch,
        });
        assert_eq!(effects.get(2).copied(), stop);
        for event in [
            Event::Cancel,
            Event::Retry,
            Event::Expire,
            Event::Complete { epoch: job.epoch },
            claim(),
        ] {
            assert!(
                apply(&cancelled, event.clone(), NOW + 10 * TTL).is_err(),
                "{event:?}"
            );
        }
    }
}

#[test]
fn a_retry_by_hand_counts_anew_and_keeps_the_epoch() {
    let mut job = Job::new(EditId::new(), 1);
    job = death(&after(&job, [claim()]));
    assert_eq!(job.attempts, 1);
    let (again, effects) = apply(&job, Event::Retry, NOW).unwrap();
    assert_eq!(
        (&again.state, again.attempts, again.epoch),
        (&State::Queued, 0, Epoch::new(1))
    );
    assert!(effects.contains(&Effect::Reopen) && effects.contains(&Effect::Announce));
    assert_eq!(after(&again, [claim()]).epoch, Epoch::new(2));
    assert_eq!(apply(&again, Event::Retry, NOW), Err(Rejected::NotFailed));
}

#[test]
fn there_is_no_epoch_after_the_last() {
    let job = Job {
        epoch: Epoch::LAST,
        ..Job::new(EditId::new(), 3)
    };
    assert_eq!(apply(&job, claim(), NOW), Err(Rejected::NotClaimable));
}
