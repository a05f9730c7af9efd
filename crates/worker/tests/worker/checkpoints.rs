//! Shutdown and resume.

use std::time::Duration;

use limekiln_blobs::Key;
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::{Digest, EditId, Epoch, EventKind, StateName};
use limekiln_worker::Signal;

use crate::gate::{Gate, gated, null};
use crate::running::{Running, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_abandons_a_step_that_never_ends() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let mut hurried = settings(&context);
    hurried.checkpoint_every = Duration::ZERO;
    let grace = hurried.shutdown_grace;
    let mut worker = Running::start(&context, hurried, gated(&gate, 9)).await;
    let edits = context
        .enqueue(&[context.instruction("one"), context.instruction("two")])
        .await;
    for step in 1..=3 {
        gate.open(1);
        let kept = Signal::Checkpointed(edits[0], Epoch::new(1), step);
        worker.wait("a checkpoint", |signal| *signal == kept).await;
    }
    // The fourth step waits at the gate for ever.
    let (ended, took) = worker.stop().await;
    ended.unwrap();
    assert!(took < grace, "{took:?}");
    for (edit, claims) in [(edits[0], 1), (edits[1], 0)] {
        let view = context.view(edit).await;
        assert_eq!((view.state, view.attempts), (StateName::Queued, 0));
        assert_eq!(context.event_count(edit, EventKind::Started).await, claims);
    }
    let claimed = context.claim(edits[0]).await;
    assert_eq!(claimed.checkpoint.unwrap().step, 3);
    gate.open(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_saves_what_is_done_and_another_goes_on_from_there() {
    let context = TestContext::new().await;
    let mut rare = settings(&context);
    rare.checkpoint_every = Duration::from_secs(3600);
    let step = Duration::from_millis(5);
    let mut worker = Running::start(&context, rare.clone(), null(500, step)).await;
    let edit = context.enqueue_one("anything").await;
    worker
        .wait(
            "ten steps",
            |signal| matches!(signal, Signal::Stepped(_, _, step) if *step >= 10),
        )
        .await;
    worker.stop().await.0.unwrap();
    assert_eq!(context.view(edit).await.state, StateName::Queued);

    let mut other = Running::start(&context, rare, null(500, step)).await;
    let dispatcher = context.dispatcher();
    let started = other
        .wait("the second start", |signal| {
            matches!(signal, Signal::Started(..))
        })
        .await;
    let Signal::Started(_, epoch, from) = started else {
        unreachable!()
    };
    assert!(epoch == Epoch::new(2) && from >= 10, "{started:?}");
    let view = context.reaches(edit, StateName::Succeeded).await;
    assert_eq!(view.attempts, 0);
    drop(dispatcher);
    other.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_replaces_the_one_before() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let mut often = settings(&context);
    often.checkpoint_every = Duration::ZERO;
    let mut worker = Running::start(&context, often, gated(&gate, 4)).await;
    let edit = context.enqueue_one("anything").await;
    for step in 1..=3 {
        gate.open(1);
        worker
            .wait(
                "a checkpoint",
                |signal| matches!(signal, Signal::Checkpointed(_, _, at) if *at == step),
            )
            .await;
    }
    let key = |step| Key::checkpoint(context.tenant, edit, Epoch::new(1), step);
    limekiln_testbed::until("the old ones' end", PATIENCE, async || {
        !context.blobs.exists(&key(1)).await.unwrap()
            && !context.blobs.exists(&key(2)).await.unwrap()
    })
    .await;
    assert!(context.blobs.exists(&key(3)).await.unwrap());
    gate.open(1);
    context.reaches(edit, StateName::Succeeded).await;
    worker.stop().await.0.unwrap();
}

/// The edit, in the line, has a checkpoint of seven steps, whatever is at its key.
pub(crate) async fn saved(context: &TestContext, edit: EditId, step: u32, saved: &[u8]) -> Key {
    let key = Key::checkpoint(context.tenant, edit, Epoch::NONE, step);
    let digest = Digest::of(saved);
    context
        .sql(&format!(
            "update edits set checkpoint_key = '{key}', checkpoint_step = {step}, checkpoint_digest = decode('{digest}', 'hex'),
                checkpoint_bytes = {} where id = '{edit}'",
            saved.len()
        ))
        .await;
    key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_is_of_no_use_means_starting_over_and_costs_nothing() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let mut often = settings(&context);
    often.checkpoint_every = Duration::ZERO;
    let mut worker = Running::start(&context, often, gated(&gate, 9)).await;
    let (whole, other): ([u8; 4], &[u8]) = (7_u32.to_le_bytes(), b"of another version");
    // What the row says it is, and what is there.
    for (what, said, there, from) in [
        ("whole", &whole[..], Some(&whole[..]), 7),
        ("of another version", other, Some(other), 0),
        ("damaged", &whole[..], Some(&other[..4]), 0),
        ("missing", &whole[..], None, 0),
    ] {
        let edit = context.submit(context.instruction("anything")).await;
        let key = saved(&context, edit, 7, said).await;
        if let Some(there) = there {
            let there = there.to_vec().into();
            context
                .blobs
                .put(&key, there, "application/octet-stream")
                .await
                .unwrap();
        }
        context.enqueue(&[]).await;
        let epoch = Epoch::new(1);
        let started = Signal::Started(edit, epoch, from);
        worker.wait(what, |signal| *signal == started).await;
        if from == 0 {
            let over = Signal::StartedOver(edit, epoch);
            worker.wait(what, |signal| *signal == over).await;
            assert!(!context.blobs.exists(&key).await.unwrap(), "{what}");
        }
        // The next step is newer than what the row has, so it is kept, and excuses the worker's death.
        gate.open(1);
        let kept = Signal::Checkpointed(edit, epoch, from + 1);
        worker.wait(what, |signal| *signal == kept).await;
        context.lease_take(edit).await;
        let view = context.view(edit).await;
        assert_eq!(
            (view.state, view.attempts),
            (StateName::Queued, 0),
            "{what}"
        );
        context
            .store
            .edit_cancel(context.tenant, edit)
            .await
            .unwrap();
        context.broker.stop(edit, epoch);
        worker
            .wait(
                what,
                |signal| matches!(signal, Signal::Stopped(at, _) if *at == edit),
            )
            .await;
        // The step it was in may end now.
        gate.open(1);
    }
    worker.stop().await.0.unwrap();
}
