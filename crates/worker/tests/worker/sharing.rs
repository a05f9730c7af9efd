//! Edits that give their slots to others, and what their time costs.

use std::time::Duration;

use limekiln_fixture::{PATIENCE, TestContext, png};
use limekiln_jobs::{Class, EditId, Epoch, EventKind, StateName};
use limekiln_testbed::until;
use limekiln_worker::Signal;

use crate::gate::{Gate, gated, null};
use crate::running::{Running, settings};

async fn charged_ms(context: &TestContext) -> i64 {
    let tenant = context.tenant;
    context
        .number(&format!(
            "select coalesce(sum(gpu_ms), 0)::bigint from usage where tenant_id = '{tenant}'"
        ))
        .await
}

async fn enqueue_bulk(context: &TestContext) -> EditId {
    let mut submission = context.instruction("anything");
    submission.class = Class::Bulk;
    context.enqueue(&[submission]).await[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_steps_aside_at_its_next_step_and_goes_on_from_there() {
    let context = TestContext::new().await;
    let step = Duration::from_millis(5);
    let mut worker = Running::start(&context, settings(&context), null(300, step)).await;
    let bulk = enqueue_bulk(&context).await;
    let second = worker
        .wait("two steps", |signal| {
            matches!(signal, Signal::Stepped(_, _, 2..))
        })
        .await;
    let Signal::Stepped(_, epoch, _) = second else {
        unreachable!()
    };
    let interactive = context.enqueue_one("null: steps=1").await;
    // Of another run, and doubled: one is enough.
    context.broker.step_aside(bulk, Epoch::new(7));
    for _ in 0..3 {
        context.broker.step_aside(bulk, epoch);
    }
    worker
        .wait(
            "the interactive edit",
            |signal| matches!(signal, Signal::Claimed(edit, _) if *edit == interactive),
        )
        .await;
    let dispatcher = context.dispatcher();
    worker
        .wait(
            "the bulk edit, from where it was",
            |signal| matches!(signal, Signal::Started(edit, _, 2..) if *edit == bulk),
        )
        .await;
    for edit in [interactive, bulk] {
        context.reaches(edit, StateName::Succeeded).await;
    }
    assert_eq!(context.view(bulk).await.attempts, 0);
    assert_eq!(context.event_count(bulk, EventKind::Started).await, 2);
    drop(dispatcher);
    worker.stop().await.0.unwrap();
}

/// Looking ahead binds nothing: the edit is anybody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_worker_fetches_the_next_input_and_leaves_the_edit_to_others() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let other = context.image_create(context.tenant, png(9)).await;
    let submissions = [
        context.submission(),
        context.submission_of(context.tenant, other),
    ];
    let edits = context.enqueue(&submissions).await;
    let (busy, cache) = (settings(&context), settings(&context).cache_dir);
    let busy = Running::start(&context, busy, gated(&gate, 1)).await;
    let cached = || {
        let sizes = std::fs::read_dir(&cache).into_iter().flatten();
        sizes.count()
    };
    until("both inputs", PATIENCE, async || cached() >= 2).await;
    let mut idle = settings(&context);
    idle.cache_dir = context.dir.path().join("another");
    let idle = Running::start(&context, idle, null(1, Duration::ZERO)).await;
    context.reaches(edits[1], StateName::Succeeded).await;
    assert_eq!(context.view(edits[0]).await.state, StateName::Running);
    gate.open(1);
    context.reaches(edits[0], StateName::Succeeded).await;
    busy.stop().await.0.unwrap();
    idle.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn device_time_of_failed_and_of_cancelled_edits_is_charged() {
    let context = TestContext::new().await;
    let mut worker = Running::start(&context, settings(&context), null(3, Duration::ZERO)).await;
    let mut failing = context.instruction("null: step_ms=30 fail");
    failing.max_attempts = 1;
    let failing = context.enqueue(&[failing]).await[0];
    context.reaches(failing, StateName::Failed).await;
    let after_failure = charged_ms(&context).await;
    assert!(after_failure >= 30, "{after_failure} ms");

    let edit = context.enqueue_one("null: steps=1000 step_ms=20").await;
    let third = worker
        .wait(
            "steps",
            |signal| matches!(signal, Signal::Stepped(at, _, 3) if *at == edit),
        )
        .await;
    let Signal::Stepped(_, epoch, _) = third else {
        unreachable!()
    };
    context
        .store
        .edit_cancel(context.tenant, edit)
        .await
        .unwrap();
    context.broker.stop(edit, epoch);
    worker
        .wait("the stop", |signal| *signal == Signal::Stopped(edit, epoch))
        .await;
    let after_cancel = charged_ms(&context).await - after_failure;
    assert!(after_cancel >= 60, "{after_cancel} ms");
    // Said again, it is charged once.
    context
        .store
        .edits_charge(&[(edit, epoch, 1000)])
        .await
        .unwrap();
    assert_eq!(charged_ms(&context).await - after_failure, after_cancel);
    worker.stop().await.0.unwrap();
}
