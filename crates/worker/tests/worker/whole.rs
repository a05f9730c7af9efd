//! Edits from message to result.

use std::time::Duration;

use limekiln_broker::Update;
use limekiln_jobs::{ArtifactKind, Epoch, EventKind, Live, StateName};
use limekiln_store::Cancel;
use limekiln_worker::Signal;

use crate::gate::{Gate, gated, null};
use crate::house::{House, PATIENCE, picture};
use crate::running::{Running, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_runs_to_its_end() {
    let house = House::new().await;
    let worker = Running::start(&house, settings(&house), null(3, Duration::ZERO)).await;
    let edit = house.edit("anything");
    let mut subscription = house.broker.subscribe(edit.id).await;
    let edit = house.submit(vec![edit]).await[0];
    let view = house.reaches(edit, StateName::Succeeded).await;
    assert_eq!((view.attempts, view.error), (0, None));
    assert_eq!(view.report.unwrap()["steps"], 3);
    let result = house
        .store
        .artifact_get(house.tenant, edit, ArtifactKind::Result)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        result.key,
        house.result_key(edit, Epoch::new(1)).to_string()
    );
    assert_eq!(house.blob(&result.key).await, picture(1));

    // What is told live is what Postgres keeps, but for the clock.
    let events = house.events(edit).await;
    let mut live = Vec::new();
    while live.last() != Some(&EventKind::Succeeded) {
        let seen = tokio::time::timeout(PATIENCE, subscription.next())
            .await
            .unwrap();
        let Some(Update::Live(told)) = seen else {
            panic!("{seen:?}")
        };
        let Live::Event(told) = &*told else { continue };
        let kept = &events[told.seq as usize - 1];
        assert_eq!((told.kind, &told.data), (kept.kind, &kept.data));
        live.push(told.kind);
    }
    assert_eq!(live[0], EventKind::Started);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_twice_is_claimed_once() {
    let house = House::new().await;
    let mut worker = Running::start(&house, settings(&house), null(1, Duration::ZERO)).await;
    let edit = house.submit_one("anything").await;
    house.reaches(edit, StateName::Succeeded).await;
    let hint = limekiln_broker::Hint {
        edit,
        tenant: house.tenant,
        model: House::model(),
        class: limekiln_jobs::Class::Bulk,
        input: None,
        announcement: 2,
        trace: None,
    };
    for announced in house.broker.announce(&[hint]).await {
        announced.unwrap();
    }
    worker
        .wait("the second message", |signal| {
            *signal == Signal::Unclaimable(edit)
        })
        .await;
    assert_eq!(house.count(edit, EventKind::Started).await, 1);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_edit_stops_at_its_next_step() {
    let house = House::new().await;
    let gate = Gate::default();
    let mut worker = Running::start(&house, settings(&house), gated(&gate, 9)).await;
    for told in [true, false] {
        let edit = house.submit_one("anything").await;
        gate.open(2);
        worker
            .wait(
                "two steps",
                |signal| matches!(signal, Signal::Stepped(at, _, 2) if *at == edit),
            )
            .await;
        let cancelled = house.store.edit_cancel(house.tenant, edit).await.unwrap();
        let Cancel::Cancelled {
            was_running: Some((_, epoch)),
            ..
        } = cancelled
        else {
            panic!("{cancelled:?}")
        };
        // Told at once, or found at the next renewal.
        if told {
            house.broker.stop(edit, epoch);
        }
        worker
            .wait("the stop", |signal| *signal == Signal::Stopped(edit, epoch))
            .await;
        // The step it was in may end now, and the next edit goes on from there.
        gate.open(1);
        let view = house.view(edit).await;
        assert_eq!((view.state, view.attempts), (StateName::Cancelled, 0));
        let events = house.events(edit).await;
        assert_eq!(events.last().unwrap().kind, EventKind::Cancelled);
        let key = house.result_key(edit, epoch);
        assert!(!house.blobs.exists(&key).await.unwrap());
    }
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_worker_ends_with_what_it_has() {
    let house = House::new().await;
    let gate = Gate::default();
    let mut worker = Running::start(&house, settings(&house), gated(&gate, 2)).await;
    let edits = house
        .submit(vec![house.edit("one"), house.edit("two")])
        .await;
    worker
        .wait(
            "the first",
            |signal| matches!(signal, Signal::Started(at, ..) if *at == edits[0]),
        )
        .await;
    assert_eq!(house.store.worker_drain(None, true).await.unwrap(), 1);
    // The order comes with a heartbeat; the second edit has no room until the first has ended.
    limekiln_testbed::until("the drain", PATIENCE, async || {
        house
            .broker
            .depth(&House::model())
            .await
            .unwrap()
            .iter()
            .any(|depth| depth.ready == 1)
    })
    .await;
    gate.open(2);
    worker.end().await.unwrap();
    assert_eq!(house.view(edits[0]).await.state, StateName::Succeeded);
    assert_eq!(house.view(edits[1]).await.state, StateName::Queued);
}

#[cfg(feature = "embedded")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_one_process() {
    let dir = tempfile::TempDir::new().unwrap();
    let at = dir.path().join("postgres");
    let postgres = tokio::task::spawn_blocking(move || limekiln_store::Embedded::start(&at))
        .await
        .unwrap()
        .unwrap();
    let store = limekiln_store::Store::connect(&postgres.settings())
        .await
        .unwrap();
    let s3 = limekiln_blobs::embedded::Embedded::start(&dir.path().join("s3"), 0)
        .await
        .unwrap();
    let blobs = limekiln_blobs::Blobs::connect(&s3.settings("limekiln"))
        .await
        .unwrap();
    let house = House::with(store, blobs, String::new(), picture(3)).await;
    let mut settings = settings(&house);
    settings.slots = 8;
    settings.checkpoint_every = Duration::ZERO;
    let worker = Running::start(&house, settings, null(5, Duration::from_millis(5))).await;
    let coordinator = house.coordinator();
    let edits = house
        .submit((0..40).map(|_| house.edit("anything")).collect())
        .await;
    for edit in edits {
        house.reaches(edit, StateName::Succeeded).await;
        assert_eq!(house.count(edit, EventKind::Started).await, 1);
    }
    drop(coordinator);
    worker.stop().await.0.unwrap();
    house.store.close().await;
    s3.stop().await;
}
