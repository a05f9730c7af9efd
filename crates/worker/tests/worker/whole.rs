//! Edits from message to result.

use std::time::Duration;

use limekiln_blobs::Key;
use limekiln_broker::Update;
use limekiln_fixture::{PATIENCE, TestContext, png};
use limekiln_jobs::{ArtifactKind, EditId, Epoch, EventKind, Live, StateName};
use limekiln_store::Cancel;
use limekiln_worker::Signal;

use crate::gate::{Gate, gated, null};
use crate::running::{Running, settings};

fn result_key(context: &TestContext, edit: EditId, epoch: Epoch) -> Key {
    Key::edit(context.tenant, edit, epoch, "result.png").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_runs_to_its_end() {
    let context = TestContext::new().await;
    let worker = Running::start(&context, settings(&context), null(3, Duration::ZERO)).await;
    let edit = context.instruction("anything");
    let mut subscription = context.broker.subscribe(edit.id).await;
    let edit = context.enqueue(&[edit]).await[0];
    let view = context.reaches(edit, StateName::Succeeded).await;
    assert_eq!((view.attempts, view.error), (0, None));
    assert_eq!(view.report.unwrap()["steps"], 3);
    let result = context
        .store
        .artifact_get(context.tenant, edit, ArtifactKind::Result)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        result.key,
        result_key(&context, edit, Epoch::new(1)).to_string()
    );
    assert_eq!(context.blob(&result.key).await, png(1));

    // What is told live is what Postgres keeps, but for the clock.
    let events = context.events(edit).await;
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
    let context = TestContext::new().await;
    let mut worker = Running::start(&context, settings(&context), null(1, Duration::ZERO)).await;
    let edit = context.enqueue_one("anything").await;
    context.reaches(edit, StateName::Succeeded).await;
    let hint = limekiln_broker::Hint {
        edit,
        tenant: context.tenant,
        model: TestContext::model(),
        class: limekiln_jobs::Class::Bulk,
        cohort: None,
        announcement: 2,
        trace: None,
    };
    for announced in context.broker.announce(&[hint]).await {
        announced.unwrap();
    }
    worker
        .wait("the second message", |signal| {
            *signal == Signal::Unclaimable(edit)
        })
        .await;
    assert_eq!(context.event_count(edit, EventKind::Started).await, 1);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_edit_stops_at_its_next_step() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let mut worker = Running::start(&context, settings(&context), gated(&gate, 9)).await;
    for told in [true, false] {
        let edit = context.enqueue_one("anything").await;
        gate.open(2);
        worker
            .wait(
                "two steps",
                |signal| matches!(signal, Signal::Stepped(at, _, 2) if *at == edit),
            )
            .await;
        let cancelled = context
            .store
            .edit_cancel(context.tenant, edit)
            .await
            .unwrap();
        let Cancel::Cancelled {
            was_running: Some((_, epoch)),
            ..
        } = cancelled
        else {
            panic!("{cancelled:?}")
        };
        // Told at once, or found at the next renewal.
        if told {
            context.broker.stop(edit, epoch);
        }
        worker
            .wait("the stop", |signal| *signal == Signal::Stopped(edit, epoch))
            .await;
        // The step it was in may end now, and the next edit goes on from there.
        gate.open(1);
        let view = context.view(edit).await;
        assert_eq!((view.state, view.attempts), (StateName::Cancelled, 0));
        let events = context.events(edit).await;
        assert_eq!(events.last().unwrap().kind, EventKind::Cancelled);
        let key = result_key(&context, edit, epoch);
        assert!(!context.blobs.exists(&key).await.unwrap());
    }
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_worker_ends_with_what_it_has() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let mut worker = Running::start(&context, settings(&context), gated(&gate, 2)).await;
    let edits = context
        .enqueue(&[context.instruction("one"), context.instruction("two")])
        .await;
    worker
        .wait(
            "the first",
            |signal| matches!(signal, Signal::Started(at, ..) if *at == edits[0]),
        )
        .await;
    assert_eq!(context.store.worker_drain(None, true).await.unwrap(), 1);
    // The order comes with a heartbeat, and stands when the one after it is written; the second edit has no room until the
    // first has ended.
    let heartbeat =
        "select coalesce(max(extract(epoch from seen_at) * 1e6), 0)::bigint from workers";
    for _ in 0..2 {
        let before = context.number(heartbeat).await;
        limekiln_testbed::until("a heartbeat", PATIENCE, async || {
            context.number(heartbeat).await > before
        })
        .await;
    }
    gate.open(2);
    worker.end().await.unwrap();
    assert_eq!(context.view(edits[0]).await.state, StateName::Succeeded);
    assert_eq!(context.view(edits[1]).await.state, StateName::Queued);
}
