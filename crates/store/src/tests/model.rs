//! The statements against the machine: random events, given to `limekiln_jobs::apply` and to the database, leave the same
//! rows and the same history.

use limekiln_jobs::{
    EditId, Effect, Epoch, Event, EventKind, Failure, FailureClass, Job, Rejected, State,
    StateName, Wait, apply,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::Row;
use time::{Duration as Span, OffsetDateTime};

use super::context::*;
use crate::*;

/// Something that happens to one of the edits.
#[derive(Debug, Clone)]
enum Act {
    Release,
    Claim,
    Renew(Said),
    Progress(Said),
    Checkpoint(Said, i8),
    StartOver(Said),
    Complete(Said),
    Fail(Said, FailureClass),
    HandBack(Said),
    Expire { due: bool },
    RetryDue { due: bool },
    Unblock,
    Cancel,
    Retry,
}

/// The epoch that a worker names, as a distance from the true one.
type Said = i8;

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![8 => Just(0), 1 => Just(-1), 1 => Just(1)]
}

fn act() -> impl Strategy<Value = Act> {
    let class = prop_oneof![
        1 => Just(FailureClass::User),
        4 => Just(FailureClass::Internal),
        2 => Just(FailureClass::Hang),
        1 => Just(FailureClass::Suspect),
        1 => Just(FailureClass::Poison),
    ];
    prop_oneof![
        1 => Just(Act::Release),
        6 => Just(Act::Claim),
        1 => said().prop_map(Act::Renew),
        2 => said().prop_map(Act::Progress),
        2 => (said(), -1..3_i8).prop_map(|(said, by)| Act::Checkpoint(said, by)),
        1 => said().prop_map(Act::StartOver),
        1 => said().prop_map(Act::Complete),
        3 => (said(), class).prop_map(|(said, class)| Act::Fail(said, class)),
        1 => said().prop_map(Act::HandBack),
        3 => any::<bool>().prop_map(|due| Act::Expire { due }),
        3 => any::<bool>().prop_map(|due| Act::RetryDue { due }),
        2 => Just(Act::Unblock),
        1 => Just(Act::Cancel),
        2 => Just(Act::Retry),
    ]
}

/// What the machine says to an event.
type Applied = std::result::Result<(), Rejected>;

/// An edit, as the machine has it and with the history the machine tells.
struct Twin {
    job: Job,
    kinds: Vec<EventKind>,
}

impl Twin {
    fn new(job: Job) -> Self {
        let kinds = vec![job.state.event()];
        Self { job, kinds }
    }

    fn epoch(&self, said: Said) -> Epoch {
        Epoch::new(self.job.epoch.get().saturating_add_signed(said.into()))
    }

    fn apply(&mut self, event: Event, now: OffsetDateTime) -> Applied {
        let (job, effects) = apply(&self.job, event, now)?;
        for effect in effects {
            if let Effect::Log { kind, .. } = effect {
                self.kinds.push(kind);
            }
        }
        self.job = job;
        Ok(())
    }
}

fn agree(write: Write, applied: Applied, seq: u64) {
    match applied {
        Ok(()) => assert_eq!(write, Write::Applied { seq }),
        Err(_) => assert_eq!(write, Write::Stale),
    }
}

async fn run(context: &TestContext, max_attempts: u16, acts: &[(usize, Act)]) {
    let store = &context.store;
    let first = Submission {
        max_attempts,
        ..context.submission()
    };
    let second = Submission {
        max_attempts,
        ..context.turn(first.id)
    };
    let mut twins = [
        Twin::new(Job::new(first.id, max_attempts)),
        Twin::new(Job::turn(second.id, first.id, false, max_attempts)),
    ];
    store.edits_submit(&[first, second]).await.unwrap();
    for (at, act) in acts {
        let parent = twins[0].job.state.name();
        let twin = &mut twins[*at];
        let edit = twin.job.edit;
        // Both clocks stand still but for what an act needs of them.
        let now = OffsetDateTime::now_utc();
        match act.clone() {
            Act::Release => {
                context.release(8, 8).await;
            }
            Act::Claim => {
                let applied = twin.apply(
                    Event::Claim {
                        worker: context.worker,
                        ttl: TTL,
                    },
                    now,
                );
                let claimed = store
                    .edits_claim(context.worker, &[edit], TTL)
                    .await
                    .unwrap()
                    .remove(0);
                assert_eq!(
                    claimed.map(|claimed| claimed.epoch),
                    applied.ok().map(|()| twin.job.epoch)
                );
            }
            Act::Renew(said) => {
                let epoch = twin.epoch(said);
                let applied = twin.apply(Event::Renew { epoch, ttl: TTL }, now);
                let writes = store
                    .leases_renew(context.worker, &[(edit, epoch)], TTL)
                    .await
                    .unwrap();
                agree(writes[0], applied, twin.job.seq);
            }
            Act::Progress(said) => {
                let epoch = twin.epoch(said);
                let applied = twin.apply(Event::Progress { epoch }, now);
                let progress = Progressed {
                    edit,
                    epoch,
                    stage: "apply".to_owned(),
                    step: 1,
                    steps: 20,
                    located: None,
                };
                agree(
                    store.edits_progress(&[progress]).await.unwrap()[0],
                    applied,
                    twin.job.seq,
                );
            }
            Act::Checkpoint(said, by) => {
                let epoch = twin.epoch(said);
                let step = twin
                    .job
                    .checkpoint_step
                    .saturating_add_signed(by.into())
                    .max(1);
                let applied = twin.apply(Event::Checkpoint { epoch, step }, now);
                let offered = checkpoint(edit, epoch, step);
                let (write, _) = store.edits_checkpoint(&[offered]).await.unwrap().remove(0);
                // An older checkpoint is not kept, but the lease holds.
                let applied = if applied == Err(Rejected::OldCheckpoint) {
                    Ok(())
                } else {
                    applied
                };
                agree(write, applied, twin.job.seq);
            }
            Act::StartOver(said) => {
                let epoch = twin.epoch(said);
                let applied = twin.apply(Event::StartOver { epoch }, now);
                let key = row(store, edit)
                    .await
                    .get::<Option<String>, _>("checkpoint_key");
                let lease = (edit, epoch, key.unwrap_or_default());
                let write = store.edits_start_over(&[lease]).await.unwrap()[0];
                agree(write, applied, twin.job.seq);
            }
            Act::Complete(said) => {
                let epoch = twin.epoch(said);
                let again = matches!(twin.job.state, State::Succeeded) && epoch == twin.job.epoch;
                let applied = twin.apply(Event::Complete { epoch }, now);
                let write = context.complete(edit, epoch).await;
                agree(write, if again { Ok(()) } else { applied }, twin.job.seq);
            }
            Act::Fail(said, class) => {
                let epoch = twin.epoch(said);
                let failure = Failure::new(class, "broken", "it broke");
                let applied = twin.apply(Event::Fail { epoch, failure }, now);
                agree(
                    context.fail(edit, epoch, class).await,
                    applied,
                    twin.job.seq,
                );
            }
            Act::HandBack(said) => {
                let epoch = twin.epoch(said);
                let applied = twin.apply(Event::HandBack { epoch }, now);
                agree(
                    store.edits_hand_back(&[(edit, epoch, 0)]).await.unwrap()[0],
                    applied,
                    twin.job.seq,
                );
            }
            Act::Expire { due } => {
                let running = matches!(twin.job.state, State::Running(_));
                let later = if due { now + TTL + Span::SECOND } else { now };
                if due && running {
                    lease_expire(store, edit).await;
                }
                let applied = twin.apply(Event::Expire, later);
                let reaped = store.edits_reap(1000).await.unwrap();
                assert_eq!(
                    reaped.iter().any(|moved| moved.edit == edit),
                    applied.is_ok()
                );
            }
            Act::RetryDue { due } => {
                let waiting = matches!(twin.job.state, State::Waiting(Wait::Retry { .. }));
                let later = if due {
                    now + Span::minutes(5)
                } else {
                    now - Span::SECOND
                };
                if due && waiting {
                    retry_due(store, edit).await;
                }
                let applied = twin.apply(Event::RetryDue, later);
                let moved = store.edits_retry_due(1000).await.unwrap();
                assert_eq!(
                    moved.iter().any(|moved| moved.edit == edit),
                    applied.is_ok()
                );
            }
            Act::Unblock => {
                let turn = &mut twins[1];
                let event = match parent {
                    StateName::Succeeded => Some(Event::ParentSucceeded),
                    StateName::Failed | StateName::Cancelled => Some(Event::ParentEnded),
                    _ => None,
                };
                let applied = event.is_some_and(|event| turn.apply(event, now).is_ok());
                let moved = super::cases::outcome::unblocked(store, turn.job.edit).await;
                assert_eq!(moved.is_some(), applied);
            }
            Act::Cancel => {
                let lease = twin.job.lease().map(|lease| (lease.worker, twin.job.epoch));
                let expected = match twin.apply(Event::Cancel, now) {
                    Ok(()) => Cancel::Cancelled {
                        seq: twin.job.seq,
                        was_running: lease,
                    },
                    Err(_) => Cancel::AlreadyEnded(twin.job.state.name()),
                };
                assert_eq!(
                    store.edit_cancel(context.tenant, edit).await.unwrap(),
                    expected
                );
            }
            Act::Retry => {
                let expected = match twin.apply(Event::Retry, now) {
                    Ok(()) => Retried::Queued { seq: twin.job.seq },
                    Err(_) => Retried::NotFailed(twin.job.state.name()),
                };
                assert_eq!(store.edit_retry(edit).await.unwrap(), expected);
            }
        }
        // What ends the parent moves the turn.
        let event = match twins[0].job.state.name() {
            _ if parent.is_terminal() => None,
            StateName::Succeeded => Some(Event::ParentSucceeded),
            StateName::Failed | StateName::Cancelled => Some(Event::ParentEnded),
            _ => None,
        };
        if let Some(event) = event {
            // It may not wait any more.
            let _ = twins[1].apply(event, now);
        }
        for twin in &twins {
            same(context, &twin.job).await;
        }
    }
    for twin in &twins {
        assert_eq!(context.kinds(twin.job.edit).await, twin.kinds);
    }
    let live = twins
        .iter()
        .filter(|twin| !twin.job.state.is_terminal())
        .count();
    assert_eq!(context.in_flight().await as usize, live);
    // Nothing of this run is left to the next.
    for twin in &twins {
        store
            .edit_cancel(context.tenant, twin.job.edit)
            .await
            .unwrap();
    }
}

/// The row is the job.
async fn same(context: &TestContext, job: &Job) {
    let row = row(&context.store, job.edit).await;
    let whole = |column| row.get::<i32, _>(column).unsigned_abs();
    assert_eq!(row.get::<&str, _>("state"), job.state.name().as_str());
    assert_eq!(whole("epoch"), job.epoch.get());
    assert_eq!(row.get::<i16, _>("attempts").unsigned_abs(), job.attempts);
    assert_eq!(row.get::<i16, _>("hangs").unsigned_abs(), job.hangs);
    assert_eq!(whole("checkpoint_step"), job.checkpoint_step);
    assert_eq!(whole("claim_step"), job.claim_step);
    assert_eq!(row.get::<i16, _>("restarts").unsigned_abs(), job.restarts);
    assert_eq!(row.get::<i64, _>("seq").unsigned_abs(), job.seq);
    let retry_at = row.get::<Option<OffsetDateTime>, _>("retry_at");
    match &job.state {
        State::Waiting(Wait::Retry { until }) => {
            let apart = (retry_at.unwrap() - *until).abs();
            // An act that made it due has moved the row's time, and it is not waiting any more.
            assert!(apart < Span::seconds(5), "{retry_at:?} {until}");
        }
        State::Waiting(Wait::Turn(parent)) => {
            assert_eq!(
                (
                    retry_at,
                    EditId::from(row.get::<uuid::Uuid, _>("parent_id"))
                ),
                (None, *parent)
            );
        }
        State::Failed(failure) => {
            let stored: Failure = serde_json::from_value(row.get("error")).unwrap();
            assert_eq!(&stored, failure);
        }
        _ => {}
    }
}

#[test]
fn rows_are_what_the_machine_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = runtime.block_on(postgres());
    let context = runtime.block_on(TestContext::new(&store));
    let acts = proptest::collection::vec((0..2_usize, act()), 1..40);
    let config = Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&(1..=4_u16, acts), |(max_attempts, acts)| {
            runtime.block_on(run(&context, max_attempts, &acts));
            Ok(())
        })
        .unwrap();
}
