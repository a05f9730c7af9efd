//! Edits of a newer version, in a fleet of old and new workers.

use std::time::Duration;

use limekiln_broker::Hint;
use limekiln_fixture::TestContext;
use limekiln_jobs::{EditId, EventKind, Needs, StateName};
use limekiln_store::Submission;
use limekiln_worker::Signal;
use serde_json::json;

use crate::gate::null;
use crate::running::{Running, settings};

/// An edit with a field that this version does not know.
fn of_the_future(context: &TestContext) -> Submission {
    let mut submission = context.instruction("anything");
    submission.spec.rest.insert("upscale".to_owned(), json!(2));
    submission
}

fn able(context: &TestContext) -> limekiln_worker::Settings {
    let mut able = settings(context);
    able.can = Needs::from_iter(["upscale"]);
    able
}

async fn unable(context: &TestContext) -> i64 {
    let counts = context.store.queue_counts().await.unwrap();
    counts
        .iter()
        .map(|count| i64::try_from(count.unable).unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_the_future_waits_for_a_worker_that_knows_it() {
    let context = TestContext::new().await;
    let old = Running::start(&context, settings(&context), null(3, Duration::ZERO)).await;
    let dispatcher = context.dispatcher();
    let edit = context.submit(of_the_future(&context)).await;
    let plain = context.enqueue_one("anything").await;
    context.reaches(plain, StateName::Succeeded).await;
    assert_eq!(
        (context.view(edit).await.seq, unable(&context).await),
        (1, 1)
    );
    let new = Running::start(&context, able(&context), null(3, Duration::ZERO)).await;
    let view = context.reaches(edit, StateName::Succeeded).await;
    assert_eq!(
        (
            view.attempts,
            context.event_count(edit, EventKind::Started).await
        ),
        (0, 1)
    );
    drop(dispatcher);
    new.stop().await.0.unwrap();
    old.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_preset_waits_for_a_worker_that_knows_its_fields() {
    let context = TestContext::new().await;
    // One of the version before: it knows no window that grows for what goes.
    let mut before = settings(&context);
    let can = limekiln_worker::can().into_iter();
    before.can = can
        .filter(|need| need != "preset.edit.window.removing")
        .collect();
    let old = Running::start(&context, before, null(3, Duration::ZERO)).await;
    let dispatcher = context.dispatcher();
    // As a gateway accepts them.
    let asked = |preset: &str| {
        let mut submission = context.instruction("anything");
        submission.spec.preset = preset.to_owned();
        let resolved = limekiln_worker::resolve(&submission.spec).unwrap();
        submission.spec.resolved = Some(resolved.preset);
        submission.needs = resolved.needs;
        submission
    };
    let fast = context.submit(asked("fast")).await;
    for published in ["paper", "official"] {
        let edit = context.submit(asked(published)).await;
        context.reaches(edit, StateName::Succeeded).await;
    }
    assert_eq!(
        (context.view(fast).await.seq, unable(&context).await),
        (1, 1)
    );
    let new = Running::start(&context, settings(&context), null(3, Duration::ZERO)).await;
    let view = context.reaches(fast, StateName::Succeeded).await;
    assert_eq!(view.attempts, 0);
    drop(dispatcher);
    new.stop().await.0.unwrap();
    old.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_to_the_wrong_worker_find_the_right_one() {
    let context = TestContext::new().await;
    let mut old = Running::start(&context, settings(&context), null(3, Duration::ZERO)).await;
    let new = Running::start(&context, able(&context), null(3, Duration::ZERO)).await;
    let mut edits = Vec::new();
    for _ in 0..8 {
        edits.push(context.submit(of_the_future(&context)).await);
    }
    // A coordinator of before knows no cohorts: its messages are for all workers of the model.
    let released = context.store.edits_release(None, 64, 512).await.unwrap();
    let hints: Vec<Hint> = released
        .into_iter()
        .map(|announcement| Hint {
            edit: announcement.edit,
            tenant: announcement.tenant,
            model: announcement.model,
            class: announcement.class,
            cohort: None,
            announcement: announcement.announcement,
            trace: announcement.trace,
        })
        .collect();
    context.broker.announce(&hints).await;
    // Some come to the old one first, which takes none of them.
    let first = old
        .wait(
            "a message",
            |signal| matches!(signal, Signal::Unclaimable(edit) if edits.contains(edit)),
        )
        .await;
    let dispatcher = context.dispatcher();
    for edit in &edits {
        let view = context.reaches(*edit, StateName::Succeeded).await;
        assert_eq!(
            (
                view.attempts,
                context.event_count(*edit, EventKind::Started).await
            ),
            (0, 1)
        );
    }
    // None came to it again.
    let mut came = vec![first];
    came.extend(old.signalled());
    for edit in edits {
        let times = came
            .iter()
            .filter(|signal| **signal == Signal::Unclaimable(edit));
        assert!(times.count() <= 1, "{came:?}");
    }
    drop(dispatcher);
    new.stop().await.0.unwrap();
    old.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_whose_need_was_forgotten_is_run_by_nobody_who_does_not_know_it() {
    let context = TestContext::new().await;
    let mut old = Running::start(&context, settings(&context), null(3, Duration::ZERO)).await;
    let edit: EditId = context.submit(of_the_future(&context)).await;
    context
        .sql(&format!(
            "update edits set needs = '{{}}' where id = '{edit}'"
        ))
        .await;
    let dispatcher = context.dispatcher();
    old.wait(
        "the edit to be passed on",
        |signal| matches!(signal, Signal::PassedOn(at, _) if *at == edit),
    )
    .await;
    let view = context.view(edit).await;
    assert_eq!((view.state, view.attempts), (StateName::Queued, 0));
    assert_eq!(unable(&context).await, 1);
    let new = Running::start(&context, able(&context), null(3, Duration::ZERO)).await;
    let view = context.reaches(edit, StateName::Succeeded).await;
    assert_eq!(
        (
            view.attempts,
            context.event_count(edit, EventKind::Started).await
        ),
        (0, 2)
    );
    drop(dispatcher);
    new.stop().await.0.unwrap();
    old.stop().await.0.unwrap();
}
