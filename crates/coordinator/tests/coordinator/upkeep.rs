//! Dead leases, retries, turns, cancels.

use limekiln_broker::{Consumer, Subscription, Update};
use limekiln_coordinator::Settings;
use limekiln_jobs::{EditId, EventKind, FailureClass, Live, StateName};
use limekiln_store::{Cancel, Completion, Retried, Submission, Write};

use crate::home::{Home, NEVER, PATIENCE, offered, settings, submission, turn};

async fn expire(home: &Home, edit: EditId) {
    home.sql(&format!(
        "update edits set lease_expires_at = now() - interval '1 s' where id = '{edit}'"
    ))
    .await;
}

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
    let delivery = offered(consumer).await;
    assert_eq!(delivery.hint.edit, edit);
    delivery.ack();
}

#[tokio::test]
async fn a_dead_lease_is_taken_the_edit_offered_again_and_the_old_worker_fenced_out() {
    let home = Home::new().await;
    let coordinator = home.coordinator(settings());
    let mut consumer = home.consumer(1).await;
    let (tenant, edit) = home.edit().await;
    next(&mut consumer, edit).await;
    let first = home.claim(edit).await;
    let mut subscription = home.broker.subscribe(edit).await;
    let mut stops = home.broker.stops().await;
    expire(&home, edit).await;
    next(&mut consumer, edit).await;
    assert_eq!(
        told(&mut subscription, EventKind::Queued).await,
        first.seq + 1
    );
    let stop = tokio::time::timeout(PATIENCE, stops.next())
        .await
        .expect("a stop")
        .unwrap();
    assert_eq!((stop.edit, stop.epoch), (edit, first.epoch));
    let second = home.claim(edit).await;
    assert_eq!(second.attempts, 1);
    let late = Completion {
        edit,
        epoch: first.epoch,
        artifacts: vec![],
        report: None,
        gpu_ms: 0,
    };
    assert_eq!(
        home.store.edits_complete(&[late]).await.unwrap(),
        [Write::Stale]
    );
    home.complete(&second).await;
    let view = home.view(tenant, edit).await;
    assert_eq!((view.state, view.attempts), (StateName::Succeeded, 1));
    coordinator.stop().await;
}

#[tokio::test]
async fn an_edit_that_kills_its_workers_ends_and_is_retried_by_hand() {
    let home = Home::new().await;
    let coordinator = home.coordinator(settings());
    let mut consumer = home.consumer(1).await;
    let tenant = home.tenant().await;
    let image = home.image(tenant).await;
    let edit = home
        .submit(Submission {
            max_attempts: 2,
            ..submission(tenant, image)
        })
        .await;
    let mut subscription = home.broker.subscribe(edit).await;
    for _ in 0..2 {
        next(&mut consumer, edit).await;
        home.claim(edit).await;
        expire(&home, edit).await;
    }
    told(&mut subscription, EventKind::Failed).await;
    let view = home.view(tenant, edit).await;
    let error = view.error.expect("a reason");
    assert_eq!(
        (view.state, error.class, error.code.as_str()),
        (StateName::Failed, FailureClass::Poison, "worker_died")
    );
    let dead = home.store.dead_letters(None, 10).await.unwrap();
    assert_eq!(
        dead.letters
            .iter()
            .map(|letter| letter.edit)
            .collect::<Vec<_>>(),
        [edit]
    );

    let submitter = home.submitter();
    let Retried::Queued { seq } = submitter.retry(edit).await.unwrap() else {
        panic!("not queued")
    };
    assert_eq!(seq, view.seq + 1);
    assert_eq!(told(&mut subscription, EventKind::Queued).await, seq);
    next(&mut consumer, edit).await;
    let claimed = home.claim(edit).await;
    assert_eq!((claimed.epoch.get(), claimed.attempts), (3, 0));
    home.complete(&claimed).await;
    assert_eq!(
        submitter.retry(edit).await.unwrap(),
        Retried::NotFailed(StateName::Succeeded)
    );
    coordinator.stop().await;
}

#[tokio::test]
async fn a_failed_attempt_waits_for_its_time_and_no_longer() {
    let home = Home::new().await;
    let coordinator = home.coordinator(settings());
    let mut consumer = home.consumer(1).await;
    let (tenant, edit) = home.edit().await;
    next(&mut consumer, edit).await;
    let claimed = home.claim(edit).await;
    home.fail(edit, claimed.epoch, FailureClass::Internal).await;
    home.sql(&format!(
        "update edits set retry_at = now() + interval '1 h' where id = '{edit}'"
    ))
    .await;
    // Another edit's dead lease is taken meanwhile: the coordinator is at work, and leaves this one alone.
    let (other_tenant, other) = home.edit().await;
    next(&mut consumer, other).await;
    home.claim(other).await;
    expire(&home, other).await;
    home.reaches(other_tenant, other, StateName::Queued).await;
    next(&mut consumer, other).await;
    assert_eq!(home.view(tenant, edit).await.state, StateName::Waiting);
    let mut subscription = home.broker.subscribe(edit).await;
    home.sql(&format!(
        "update edits set retry_at = now() where id = '{edit}'"
    ))
    .await;
    told(&mut subscription, EventKind::Queued).await;
    next(&mut consumer, edit).await;
    assert_eq!(home.claim(edit).await.attempts, 1);
    coordinator.stop().await;
}

#[tokio::test]
async fn turns_go_on_when_their_parent_has_a_result_and_end_when_it_has_none() {
    let home = Home::new().await;
    let coordinator = home.coordinator(settings());
    let mut consumer = home.consumer(1).await;
    let (tenant, parent) = home.edit().await;
    let child = home.submit(turn(tenant, parent)).await;
    let grandchild = home.submit(turn(tenant, child)).await;
    let last = home.submit(turn(tenant, grandchild)).await;
    next(&mut consumer, parent).await;
    let claimed = home.claim(parent).await;
    let result = home.complete(&claimed).await;
    next(&mut consumer, child).await;
    let claimed = home.claim(child).await;
    assert_eq!(claimed.input.key, result.to_string());
    let mut subscription = home.broker.subscribe(last).await;
    home.fail(child, claimed.epoch, FailureClass::User).await;
    told(&mut subscription, EventKind::Failed).await;
    for edit in [grandchild, last] {
        let view = home.view(tenant, edit).await;
        assert_eq!(
            (view.state, view.error.unwrap().code.as_str()),
            (StateName::Failed, "parent_failed")
        );
    }
    coordinator.stop().await;
}

#[tokio::test]
async fn a_wake_lets_a_turn_go_on_before_the_next_tick() {
    let home = Home::new().await;
    let coordinator = home.coordinator(Settings {
        upkeep_every: NEVER,
        ..settings()
    });
    let mut consumer = home.consumer(1).await;
    let (tenant, parent) = home.edit().await;
    let child = home.submit(turn(tenant, parent)).await;
    next(&mut consumer, parent).await;
    let claimed = home.claim(parent).await;
    home.complete(&claimed).await;
    home.broker.wake();
    next(&mut consumer, child).await;
    coordinator.stop().await;
}

#[tokio::test]
async fn a_cancel_holds_at_once_tells_the_worker_and_ends_the_turns_on_it() {
    let home = Home::new().await;
    let coordinator = home.coordinator(settings());
    let mut consumer = home.consumer(1).await;
    let (tenant, edit) = home.edit().await;
    let child = home.submit(turn(tenant, edit)).await;
    next(&mut consumer, edit).await;
    let claimed = home.claim(edit).await;
    let mut stops = home.broker.stops().await;
    let mut subscription = home.broker.subscribe(edit).await;
    let submitter = home.submitter();
    let other = home.tenant().await;
    assert_eq!(
        submitter.cancel(other, edit).await.unwrap(),
        Cancel::Missing,
        "another tenant's"
    );
    let cancel = submitter.cancel(tenant, edit).await.unwrap();
    let Cancel::Cancelled {
        seq,
        was_running: Some((worker, epoch)),
    } = cancel
    else {
        panic!("{cancel:?}")
    };
    assert_eq!((worker, epoch), (home.worker, claimed.epoch));
    assert_eq!(told(&mut subscription, EventKind::Cancelled).await, seq);
    let stop = tokio::time::timeout(PATIENCE, stops.next())
        .await
        .expect("a stop")
        .unwrap();
    assert_eq!((stop.edit, stop.epoch), (edit, epoch));
    let late = Completion {
        edit,
        epoch,
        artifacts: vec![],
        report: None,
        gpu_ms: 0,
    };
    assert_eq!(
        home.store.edits_complete(&[late]).await.unwrap(),
        [Write::Stale]
    );
    assert_eq!(
        submitter.cancel(tenant, edit).await.unwrap(),
        Cancel::AlreadyEnded(StateName::Cancelled)
    );
    home.reaches(tenant, child, StateName::Failed).await;
    coordinator.stop().await;
}
