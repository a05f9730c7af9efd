//! Workers that die, freeze, hang and panic.

use std::time::Duration;

use limekiln_fixture::TestContext;
use limekiln_jobs::{ArtifactKind, EventKind, FailureClass, StateName};
use limekiln_store::Completion;
use limekiln_worker::{Error, Signal};

use crate::gate::{Gate, gated, null};
use crate::running::{Running, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_lease_was_taken_changes_nothing() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let mut slow = settings(&context);
    // No renewal comes to notice it: the worker finds out by writing.
    slow.lease_ttl = Duration::from_secs(600);
    let mut worker = Running::start(&context, slow, gated(&gate, 2)).await;
    let edit = context.enqueue_one("anything").await;
    worker
        .wait("the start", |signal| matches!(signal, Signal::Started(..)))
        .await;
    context.lease_take(edit).await;
    let other = context.claim(edit).await;
    gate.open(2);
    worker
        .wait(
            "the refusal",
            |signal| matches!(signal, Signal::Stale(at, _) if *at == edit),
        )
        .await;
    let view = context.view(edit).await;
    assert_eq!((view.state, view.artifacts.len()), (StateName::Running, 0));

    let completion = Completion {
        edit,
        epoch: other.epoch,
        artifacts: Vec::new(),
        report: None,
        gpu_ms: 0,
    };
    let writes = context.store.edits_complete(&[completion]).await.unwrap();
    assert!(writes[0].is_applied());
    // What the first put under its own epoch, nothing refers to.
    let view = context.reaches(edit, StateName::Succeeded).await;
    assert!(view.artifacts.is_empty());
    assert_eq!(context.event_count(edit, EventKind::Succeeded).await, 1);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_is_noticed_at_the_next_renewal() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let mut worker = Running::start(&context, settings(&context), gated(&gate, 2)).await;
    let edit = context.enqueue_one("anything").await;
    worker
        .wait("the start", |signal| matches!(signal, Signal::Started(..)))
        .await;
    context.lease_take(edit).await;
    // No step ends, and yet the edit is stopped.
    worker
        .wait(
            "the stop",
            |signal| matches!(signal, Signal::Stopped(at, _) if *at == edit),
        )
        .await;
    gate.open(1);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_is_rescued_and_only_death_without_progress_counts() {
    let context = TestContext::new().await;
    let mut often = settings(&context);
    often.checkpoint_every = Duration::ZERO;
    let edit = context.enqueue_one("anything").await;
    // The first dies after a checkpoint, the second before one.
    for (steps, attempts) in [(1, 0), (0, 1)] {
        let gate = Gate::default();
        let mut worker = Running::start(&context, often.clone(), gated(&gate, 9)).await;
        worker
            .wait("the start", |signal| matches!(signal, Signal::Started(..)))
            .await;
        if steps > 0 {
            gate.open(steps);
            worker
                .wait(
                    "a checkpoint",
                    |signal| matches!(signal, Signal::Checkpointed(_, _, at) if *at == steps),
                )
                .await;
        }
        worker.kill().await;
        context.lease_take(edit).await;
        let view = context.view(edit).await;
        assert_eq!((view.state, view.attempts), (StateName::Queued, attempts));
        // The thread that was left behind gets out of the way.
        gate.open(9);
        context.enqueue(&[]).await;
    }
    let gate = Gate::default();
    gate.open(9);
    let worker = Running::start(&context, often, gated(&gate, 9)).await;
    let view = context.reaches(edit, StateName::Succeeded).await;
    assert_eq!(view.attempts, 1);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hangs_of_the_engine_end_their_workers_and_the_edit() {
    let context = TestContext::new().await;
    let mut quick = settings(&context);
    quick.lease_ttl = Duration::from_millis(900);
    quick.stall_after = Duration::from_millis(400);
    let mut poison = context.instruction("null: hang");
    poison.max_attempts = 5;
    let edit = context.enqueue(&[poison]).await[0];
    let dispatcher = context.dispatcher();
    for _ in 0..2 {
        let mut worker = Running::start(&context, quick.clone(), null(5, Duration::ZERO)).await;
        worker
            .wait("the stall", |signal| *signal == Signal::Stalled)
            .await;
        let error = worker.end().await.unwrap_err();
        assert!(matches!(error, Error::EngineHung { .. }), "{error}");
    }
    let view = context.reaches(edit, StateName::Failed).await;
    let failure = view.error.unwrap();
    assert_eq!(
        (failure.class, failure.code.as_str(), view.attempts),
        (FailureClass::Hang, "engine_hung", 2),
        "{failure}"
    );
    let letters = context.store.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.dead_letters[0].edit, edit);
    drop(dispatcher);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_an_attempt_and_the_worker_goes_on() {
    let context = TestContext::new().await;
    let mut poison = context.instruction("null: panic");
    poison.max_attempts = 2;
    let edits = context
        .enqueue(&[
            poison,
            context.instruction("null: fail"),
            context.instruction("null: refuse"),
            context.instruction("fine"),
        ])
        .await;
    let dispatcher = context.dispatcher();
    let worker = Running::start(&context, settings(&context), null(3, Duration::ZERO)).await;
    context.reaches(edits[3], StateName::Succeeded).await;
    for (edit, class, code, attempts) in [
        (edits[0], FailureClass::Internal, "engine_panicked", 2),
        (edits[1], FailureClass::Internal, "null_failed", 3),
        (edits[2], FailureClass::User, "null_refused", 0),
    ] {
        let view = context.reaches(edit, StateName::Failed).await;
        let failure = view.error.unwrap();
        assert_eq!(
            (failure.class, failure.code.as_str(), view.attempts),
            (class, code, attempts)
        );
        let artifact = context
            .store
            .artifact_get(context.tenant, edit, ArtifactKind::Result);
        assert_eq!(artifact.await.unwrap(), None);
    }
    drop(dispatcher);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_call_for_two_is_charged_to_the_one_to_blame() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    let mut wide = settings(&context);
    wide.slots = 2;
    let mut worker = Running::start(&context, wide, gated(&gate, 3)).await;
    let mut fine = context.instruction("null: steps=200");
    let mut poison = context.instruction("null: panic");
    (fine.max_attempts, poison.max_attempts) = (1, 1);
    let dispatcher = context.dispatcher();
    let (fine, poison) = (context.submit(fine).await, context.submit(poison).await);
    // One step at a time until both are in the call; the panic comes with the step after.
    let mut both = 0;
    while both < 2 {
        gate.open(1);
        worker
            .wait("a step", |signal| match signal {
                Signal::Started(..) => {
                    both += 1;
                    true
                }
                signal => matches!(signal, Signal::Stepped(..)),
            })
            .await;
    }
    gate.open(1000);
    let view = context.reaches(poison, StateName::Failed).await;
    let failure = view.error.unwrap();
    assert_eq!(
        (failure.class, failure.code.as_str(), view.attempts),
        (FailureClass::Internal, "engine_panicked", 1)
    );
    let view = context.reaches(fine, StateName::Succeeded).await;
    assert_eq!(view.attempts, 0);
    let started = context.event_count(fine, EventKind::Started).await;
    assert_eq!(started, 1, "it went on where it was");
    drop(dispatcher);
    worker.stop().await.0.unwrap();
}
