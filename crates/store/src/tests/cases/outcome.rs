use limekiln_jobs::{
    ArtifactKind, EditId, ErrorKind, EventKind, Failure, FailureClass, Retryable, StateName,
};
use serde_json::json;
use time::OffsetDateTime;

use crate::tests::context::*;
use crate::*;

pub(in crate::tests) async fn results_are_referenced_once(store: &Store) {
    let context = TestContext::new(store).await;
    let (edit, epoch) = context.running().await;
    let roi = NewArtifact {
        kind: ArtifactKind::Roi,
        key: format!("roi-{edit}"),
        ..result(edit, epoch)
    };
    let completion = Completion {
        edit,
        epoch,
        artifacts: vec![roi.clone(), result(edit, epoch)],
        report: Some(json!({"steps": 20, "note": "a\0b"})),
        gpu_ms: 900,
    };
    let completions = [completion.clone()];
    let done = store.edits_complete(&completions).await.unwrap();
    assert_eq!(done, [Write::Applied { seq: 3 }]);
    // The answer was lost, and the call repeated.
    assert_eq!(store.edits_complete(&completions).await.unwrap(), done);
    assert_eq!(
        store
            .artifact_get(context.tenant, edit, ArtifactKind::Roi)
            .await
            .unwrap(),
        Some(roi)
    );
    let stranger = context.with_other_tenant().await;
    assert_eq!(
        store
            .artifact_get(stranger.tenant, edit, ArtifactKind::Roi)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store
            .artifact_get(context.tenant, edit, ArtifactKind::Overlay)
            .await
            .unwrap(),
        None
    );
    let view = store.edit_get(context.tenant, edit).await.unwrap().unwrap();
    assert_eq!(view.state, StateName::Succeeded);
    assert_eq!(
        view.report,
        Some(json!({"steps": 20, "note": "a\u{fffd}b"}))
    );
    let kinds: Vec<_> = view
        .artifacts
        .iter()
        .map(|artifact| artifact.kind)
        .collect();
    assert_eq!(kinds, [ArtifactKind::Result, ArtifactKind::Roi]);
    assert_eq!(
        context.kinds(edit).await,
        [EventKind::Queued, EventKind::Started, EventKind::Succeeded]
    );
    let today = OffsetDateTime::now_utc().date();
    let usage = store
        .usage_get(
            context.tenant,
            today.saturating_sub(time::Duration::DAY),
            today,
        )
        .await
        .unwrap();
    let sum = usage.iter().fold((0, 0, 0), |sum, day| {
        (sum.0 + day.edits, sum.1 + day.gpu_ms, sum.2 + day.bytes)
    });
    assert_eq!(sum, (1, 900, 2007));
    let twice = Completion {
        artifacts: vec![result(edit, epoch), result(edit, epoch)],
        ..completion
    };
    assert_eq!(
        store.edits_complete(&[twice]).await.unwrap_err().kind(),
        ErrorKind::Request
    );
}

pub(in crate::tests) async fn failures_are_classed(store: &Store) {
    let context = TestContext::new(store).await;
    let (edit, epoch) = context.running().await;
    assert!(
        context
            .fail(edit, epoch, FailureClass::User)
            .await
            .is_applied()
    );
    let view = store.edit_get(context.tenant, edit).await.unwrap().unwrap();
    assert_eq!(
        view.error,
        Some(Failure::new(FailureClass::User, "broken", "it broke"))
    );
    assert_eq!((view.state, view.attempts), (StateName::Failed, 0));
    // Ours is tried again, after a wait, three times in all.
    let edit = context.edit().await;
    for attempt in 1..=3_u16 {
        let claimed = context.claim(edit).await;
        assert_eq!(claimed.attempts, attempt - 1);
        let failure = Failure::new(FailureClass::Poison, "engine\0", "it broke\0");
        let failed = Failed {
            edit,
            epoch: claimed.epoch,
            failure,
            gpu_ms: 0,
        };
        assert!(store.edits_fail(&[failed]).await.unwrap()[0].is_applied());
        if attempt < 3 {
            assert_eq!(context.state(edit).await, StateName::Waiting);
            let early = store.edits_retry_due(1000).await.unwrap();
            assert!(early.iter().all(|moved| moved.edit != edit));
            retry_due(store, edit).await;
            let due = store.edits_retry_due(1000).await.unwrap();
            assert!(
                due.iter()
                    .any(|moved| moved.edit == edit && moved.state == StateName::Queued),
                "{due:?}"
            );
        }
    }
    let view = store.edit_get(context.tenant, edit).await.unwrap().unwrap();
    assert_eq!((view.state, view.attempts), (StateName::Failed, 3));
    let failure = view.error.unwrap();
    assert_eq!(
        (failure.class, failure.code.as_str()),
        (FailureClass::Internal, "engine\u{fffd}")
    );
    let kinds = context.kinds(edit).await;
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == EventKind::Retrying)
            .count(),
        2
    );
    let letters = store.dead_letters(None, 1000).await.unwrap().dead_letters;
    let letter = letters.iter().find(|letter| letter.edit == edit).unwrap();
    assert_eq!((letter.attempts, letter.worker), (3, Some(context.worker)));
    assert_eq!(context.in_flight().await, 0);
}

/// Two hangs end an edit, and no edit gets more attempts than its tenant may ask for.
pub(in crate::tests) async fn hangs_and_attempts_are_bounded(store: &Store) {
    let context = TestContext::new(store).await;
    let limits = Limits {
        attempts: 5,
        ..Limits::UNLIMITED
    };
    store
        .tenant_limits_set(context.tenant, &limits)
        .await
        .unwrap();
    let eager = Submission {
        max_attempts: 10,
        ..context.submission()
    };
    let edit = eager.id;
    store.edits_submit(&[eager]).await.unwrap();
    for hangs in 1..=2 {
        let claimed = context.claim(edit).await;
        assert_eq!(claimed.max_attempts, 5);
        assert!(
            context
                .fail(edit, claimed.epoch, FailureClass::Hang)
                .await
                .is_applied()
        );
        if hangs == 1 {
            assert_eq!(context.state(edit).await, StateName::Waiting);
            retry_due(store, edit).await;
            store.edits_retry_due(1000).await.unwrap();
        }
    }
    let view = store.edit_get(context.tenant, edit).await.unwrap().unwrap();
    assert_eq!((view.state, view.attempts), (StateName::Failed, 2));
    assert_eq!(view.error.unwrap().class, FailureClass::Hang);
    let letters = store.dead_letters(None, 1000).await.unwrap().dead_letters;
    assert!(letters.iter().any(|letter| letter.edit == edit));
}

pub(in crate::tests) async fn dead_leases_are_taken(store: &Store) {
    let context = TestContext::new(store).await;
    let edit = context.edit().await;
    let reap = async || {
        let reaped = store.edits_reap(1000).await.unwrap();
        reaped.into_iter().find(|moved| moved.edit == edit)
    };
    let mut attempts = 0;
    for round in 1..=5 {
        let claimed = context.claim(edit).await;
        assert_eq!((claimed.epoch.get(), claimed.attempts), (round, attempts));
        assert_eq!(reap().await, None);
        // The second and the third death come after progress, and cost nothing.
        if round == 2 || round == 3 {
            let offered = checkpoint(edit, claimed.epoch, round);
            assert!(
                store.edits_checkpoint(&[offered]).await.unwrap()[0]
                    .0
                    .is_applied()
            );
        } else {
            attempts += 1;
        }
        lease_expire(store, edit).await;
        let taken = reap().await.unwrap();
        let expected = if round == 5 {
            StateName::Failed
        } else {
            StateName::Queued
        };
        assert_eq!(
            (taken.state, taken.worker, taken.epoch),
            (expected, Some(context.worker), claimed.epoch)
        );
        assert_eq!(context.complete(edit, claimed.epoch).await, Write::Stale);
    }
    let view = store.edit_get(context.tenant, edit).await.unwrap().unwrap();
    let failure = view.error.unwrap();
    assert_eq!(
        (failure.class, failure.code.as_str()),
        (FailureClass::Poison, Failure::WORKER_DIED)
    );
    assert_eq!(view.attempts, 3);
}

pub(in crate::tests) async fn cancel_and_retry_by_hand(store: &Store) {
    let context = TestContext::new(store).await;
    let stranger = context.with_other_tenant().await;
    let (edit, epoch) = context.running().await;
    assert_eq!(
        store.edit_cancel(stranger.tenant, edit).await.unwrap(),
        Cancel::Missing
    );
    assert_eq!(
        store.edit_cancel(context.tenant, edit).await.unwrap(),
        Cancel::Cancelled {
            seq: 3,
            was_running: Some((context.worker, epoch))
        }
    );
    assert_eq!(
        store.edit_cancel(context.tenant, edit).await.unwrap(),
        Cancel::AlreadyEnded(StateName::Cancelled)
    );
    assert_eq!(context.complete(edit, epoch).await, Write::Stale);
    assert_eq!(
        store.edit_retry(edit).await.unwrap(),
        Retried::NotFailed(StateName::Cancelled)
    );
    assert_eq!(
        store.edit_retry(EditId::new()).await.unwrap(),
        Retried::Missing
    );
    // Announced, and waiting for a retry.
    let edit = context.edit().await;
    assert_eq!(context.release(8, 8).await, [edit]);
    assert!(matches!(
        store.edit_cancel(context.tenant, edit).await.unwrap(),
        Cancel::Cancelled {
            was_running: None,
            ..
        }
    ));
    let (edit, epoch) = context.running().await;
    assert!(
        context
            .fail(edit, epoch, FailureClass::Internal)
            .await
            .is_applied()
    );
    assert!(matches!(
        store.edit_cancel(context.tenant, edit).await.unwrap(),
        Cancel::Cancelled {
            was_running: None,
            ..
        }
    ));
    assert_eq!(context.in_flight().await, 0);

    let (edit, epoch) = context.running().await;
    assert!(
        context
            .fail(edit, epoch, FailureClass::User)
            .await
            .is_applied()
    );
    assert_eq!(
        store.edit_retry(edit).await.unwrap(),
        Retried::Queued { seq: 4 }
    );
    assert_eq!(context.in_flight().await, 1);
    let again = context.claim(edit).await;
    assert_eq!((again.epoch.get(), again.attempts), (2, 0));
    assert!(context.complete(edit, again.epoch).await.is_applied());
    assert_eq!(context.in_flight().await, 0);
    assert_eq!(context.kinds(edit).await.len(), 6);
}

pub(in crate::tests) async fn turns_follow_their_parents(store: &Store) {
    let context = TestContext::new(store).await;
    let (good, bad) = (context.edit().await, context.edit().await);
    let after_good = context.submit(context.turn(good)).await;
    let mut generations = vec![bad];
    for _ in 0..40 {
        let parent = generations[generations.len() - 1];
        generations.push(context.submit(context.turn(parent)).await);
    }
    let last = generations[generations.len() - 1];
    assert_eq!(context.state(after_good).await, StateName::Waiting);
    // Whatever ends a parent moves its turns: nobody has to look for them.
    let claimed = context.claim(good).await;
    assert!(context.complete(good, claimed.epoch).await.is_applied());
    assert_eq!(context.state(after_good).await, StateName::Queued);
    assert!(matches!(
        store.edit_cancel(context.tenant, bad).await.unwrap(),
        Cancel::Cancelled { .. }
    ));
    for (parent, turn) in generations.iter().zip(&generations[1..]) {
        let view = store
            .edit_get(context.tenant, *turn)
            .await
            .unwrap()
            .unwrap();
        let failure = view.error.unwrap();
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (FailureClass::Parent, Failure::PARENT_FAILED)
        );
        assert!(failure.message.contains(&parent.to_string()));
        assert_eq!(context.kinds(*turn).await.len(), 2);
    }
    assert_eq!(context.in_flight().await, 1);
    assert!(context.release(8, 8).await.contains(&after_good));
    // Retried by hand it waits for its parent again, which still has no result.
    assert!(matches!(
        store.edit_retry(last).await.unwrap(),
        Retried::Queued { .. }
    ));
    assert_eq!(context.state(last).await, StateName::Waiting);
    assert_eq!(unblocked(store, last).await, Some(StateName::Failed));
    assert_eq!(unblocked(store, last).await, None);
}

/// Looks at all turns that wait, one after the other; what became of this one.
pub(in crate::tests) async fn unblocked(store: &Store, turn: EditId) -> Option<StateName> {
    let (mut after, mut state) = (None, None);
    loop {
        let (moved, last) = store.turns_unblock(after, 1).await.unwrap();
        let ours = moved.iter().find(|moved| moved.edit == turn);
        state = ours.map(|moved| moved.state).or(state);
        if last.is_none() {
            return state;
        }
        after = last;
    }
}
