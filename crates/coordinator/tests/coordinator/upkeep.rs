//! Dead leases, retries, turns, cancels.

use limekiln_broker::{Consumer, Subscription, Update};
use limekiln_coordinator::Settings;
use limekiln_fixture::{NEVER, PATIENCE, TestContext, next_delivery};
use limekiln_jobs::{EditId, EventKind, FailureClass, Live, StateName};
use limekiln_store::{Cancel, Completion, Retried, Submission, Write};

use crate::running::{Coordinator, settings, submitter};

/// The next event of this kind that a watcher sees; its number.
async fn told(subscription: &mut Subscription, kind: EventKind) -> u64 {
    let told = async {
        loop {
            match subscription.next().await.expect("an open broker") {
                Update::Live(live) => match live.as_ref() {
                    Live::Event(event) if event.kind == kind => return event.seq,
                    _ => {}
                },
                Update::Lagged => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, told)
        .await
        .unwrap_or_else(|_| panic!("no {kind}"))
}

async fn next(consumer: &mut Consumer, edit: EditId) {
    let delivery = next_delivery(consumer).await;
    assert_eq!(delivery.hint.edit, edit);
    delivery.ack();
}

#[tokio::test]
async fn a_dead_lease_is_taken_the_edit_offered_again_and_the_old_worker_fenced_out() {
    let context = TestContext::with_rabbitmq().await;
    let coordinator = Coordinator::start(&context, settings());
    let mut consumer = context.consumer(1).await;
    let edit = context.edit().await;
    next(&mut consumer, edit).await;
    let first = context.claim(edit).await;
    let mut subscription = context.broker.subscribe(edit).await;
    let mut stops = context.broker.stops().await;
    context.lease_expire(edit).await;
    next(&mut consumer, edit).await;
    assert_eq!(
        told(&mut subscription, EventKind::Queued).await,
        first.seq + 1
    );
    let stop = tokio::time::timeout(PATIENCE, stops.next())
        .await
        .expect("a stop")
        .unwrap();
    assert_eq!((stop.run().edit, stop.run().epoch), (edit, first.epoch));
    let second = context.claim(edit).await;
    assert_eq!(second.attempts, 1);
    let late = Completion {
        edit,
        epoch: first.epoch,
        artifacts: vec![],
        report: None,
        gpu_ms: 0,
    };
    assert_eq!(
        context.store.edits_complete(&[late]).await.unwrap(),
        [Write::Stale]
    );
    context.complete(&second).await;
    let view = context.view(edit).await;
    assert_eq!((view.state, view.attempts), (StateName::Succeeded, 1));
    coordinator.stop().await;
}

#[tokio::test]
async fn an_edit_that_kills_its_workers_ends_and_is_retried_by_hand() {
    let context = TestContext::with_rabbitmq().await;
    let coordinator = Coordinator::start(&context, settings());
    let mut consumer = context.consumer(1).await;
    let edit = context
        .submit(Submission {
            max_attempts: 2,
            ..context.submission()
        })
        .await;
    let mut subscription = context.broker.subscribe(edit).await;
    for _ in 0..2 {
        next(&mut consumer, edit).await;
        context.claim(edit).await;
        context.lease_expire(edit).await;
    }
    told(&mut subscription, EventKind::Failed).await;
    let view = context.view(edit).await;
    let error = view.error.expect("a reason");
    assert_eq!(
        (view.state, error.class, error.code.as_str()),
        (StateName::Failed, FailureClass::Poison, "worker_died")
    );
    let dead = context.store.dead_letters(None, 10).await.unwrap();
    assert_eq!(
        dead.dead_letters
            .iter()
            .map(|letter| letter.edit)
            .collect::<Vec<_>>(),
        [edit]
    );

    let submitter = submitter(&context);
    let Retried::Queued { seq } = submitter.retry(edit).await.unwrap() else {
        panic!("not queued")
    };
    assert_eq!(seq, view.seq + 1);
    assert_eq!(told(&mut subscription, EventKind::Queued).await, seq);
    next(&mut consumer, edit).await;
    let claimed = context.claim(edit).await;
    assert_eq!((claimed.epoch.get(), claimed.attempts), (3, 0));
    context.complete(&claimed).await;
    assert_eq!(
        submitter.retry(edit).await.unwrap(),
        Retried::NotFailed(StateName::Succeeded)
    );
    coordinator.stop().await;
}

#[tokio::test]
async fn a_failed_attempt_waits_for_its_time_and_no_longer() {
    let context = TestContext::with_rabbitmq().await;
    let coordinator = Coordinator::start(&context, settings());
    let mut consumer = context.consumer(1).await;
    let edit = context.edit().await;
    next(&mut consumer, edit).await;
    let claimed = context.claim(edit).await;
    context
        .fail(edit, claimed.epoch, FailureClass::Internal)
        .await;
    context
        .sql(&format!(
            "update edits set retry_at = now() + interval '1 h' where id = '{edit}'"
        ))
        .await;
    // Another edit's dead lease is taken meanwhile: the coordinator is at work, and leaves this one alone.
    let other = context.edit().await;
    next(&mut consumer, other).await;
    context.claim(other).await;
    context.lease_expire(other).await;
    context.reaches(other, StateName::Queued).await;
    next(&mut consumer, other).await;
    assert_eq!(context.view(edit).await.state, StateName::Waiting);
    let mut subscription = context.broker.subscribe(edit).await;
    context
        .sql(&format!(
            "update edits set retry_at = now() where id = '{edit}'"
        ))
        .await;
    told(&mut subscription, EventKind::Queued).await;
    next(&mut consumer, edit).await;
    assert_eq!(context.claim(edit).await.attempts, 1);
    coordinator.stop().await;
}

#[tokio::test]
async fn turns_go_on_when_their_parent_has_a_result_and_end_when_it_has_none() {
    let context = TestContext::with_rabbitmq().await;
    let coordinator = Coordinator::start(&context, settings());
    let mut consumer = context.consumer(1).await;
    let parent = context.edit().await;
    let child = context.submit(context.turn(parent)).await;
    let grandchild = context.submit(context.turn(child)).await;
    let last = context.submit(context.turn(grandchild)).await;
    next(&mut consumer, parent).await;
    let claimed = context.claim(parent).await;
    let result = context.complete(&claimed).await;
    next(&mut consumer, child).await;
    let claimed = context.claim(child).await;
    assert_eq!(claimed.input.key, result.to_string());
    context.fail(child, claimed.epoch, FailureClass::User).await;
    for edit in [grandchild, last] {
        let view = context.view(edit).await;
        assert_eq!(
            (view.state, view.error.unwrap().code.as_str()),
            (StateName::Failed, "parent_failed")
        );
    }
    coordinator.stop().await;
}

#[tokio::test]
async fn a_wake_lets_a_turn_go_on_before_the_next_tick() {
    let context = TestContext::with_rabbitmq().await;
    let coordinator = Coordinator::start(
        &context,
        Settings {
            upkeep_every: NEVER,
            ..settings()
        },
    );
    let mut consumer = context.consumer(1).await;
    let parent = context.edit().await;
    let child = context.submit(context.turn(parent)).await;
    next(&mut consumer, parent).await;
    let claimed = context.claim(parent).await;
    context.complete(&claimed).await;
    context.broker.wake();
    next(&mut consumer, child).await;
    coordinator.stop().await;
}

#[tokio::test]
async fn a_cancel_holds_at_once_tells_the_worker_and_ends_the_turns_on_it() {
    let context = TestContext::with_rabbitmq().await;
    let coordinator = Coordinator::start(&context, settings());
    let mut consumer = context.consumer(1).await;
    let edit = context.edit().await;
    let child = context.submit(context.turn(edit)).await;
    next(&mut consumer, edit).await;
    let claimed = context.claim(edit).await;
    let mut stops = context.broker.stops().await;
    let mut subscription = context.broker.subscribe(edit).await;
    let submitter = submitter(&context);
    let other = context.tenant_create().await;
    assert_eq!(
        submitter.cancel(other, edit).await.unwrap(),
        Cancel::Missing,
        "another tenant's"
    );
    let cancel = submitter.cancel(context.tenant, edit).await.unwrap();
    let Cancel::Cancelled {
        seq,
        was_running: Some((worker, epoch)),
    } = cancel
    else {
        panic!("{cancel:?}")
    };
    assert_eq!((worker, epoch), (context.worker, claimed.epoch));
    assert_eq!(told(&mut subscription, EventKind::Cancelled).await, seq);
    let stop = tokio::time::timeout(PATIENCE, stops.next())
        .await
        .expect("a stop")
        .unwrap();
    assert_eq!((stop.run().edit, stop.run().epoch), (edit, epoch));
    let late = Completion {
        edit,
        epoch,
        artifacts: vec![],
        report: None,
        gpu_ms: 0,
    };
    assert_eq!(
        context.store.edits_complete(&[late]).await.unwrap(),
        [Write::Stale]
    );
    assert_eq!(
        submitter.cancel(context.tenant, edit).await.unwrap(),
        Cancel::AlreadyEnded(StateName::Cancelled)
    );
    context.reaches(child, StateName::Failed).await;
    coordinator.stop().await;
}
