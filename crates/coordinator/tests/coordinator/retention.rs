//! What is pruned and what stays.

use std::time::Duration;

use limekiln_blobs::Key;
use limekiln_coordinator::{Retention, Settings, adopt};
use limekiln_fixture::{NEVER, PATIENCE, TestContext, png};
use limekiln_jobs::{SessionId, StateName};
use limekiln_store::{Checkpoint, Checkpointed, Claimed, Submission};
use limekiln_testbed::until;

use crate::running::{Coordinator, settings};

/// A state of the edit, stored.
pub(crate) async fn checkpoint(context: &TestContext, claimed: &Claimed) -> Key {
    let key = Key::checkpoint(claimed.tenant, claimed.edit, claimed.epoch, 5);
    let stored = context
        .blobs
        .put(&key, "state".into(), "application/octet-stream")
        .await
        .unwrap();
    let checkpoint = Checkpoint {
        key: key.to_string(),
        step: 5,
        digest: stored.digest,
        bytes: stored.bytes,
    };
    let checkpointed = Checkpointed {
        edit: claimed.edit,
        epoch: claimed.epoch,
        checkpoint,
    };
    assert!(
        context
            .store
            .edits_checkpoint(&[checkpointed])
            .await
            .unwrap()[0]
            .0
            .is_applied()
    );
    key
}

#[tokio::test]
async fn pruning_leaves_what_a_live_session_or_a_live_edit_needs() {
    let context = TestContext::with_rabbitmq().await;
    context.worker_register(1).await;
    adopt(&context.store, &context.blobs, 0.0).await.unwrap();
    let tenant = context.tenant;
    let (kept, unused) = (context.image, context.image_create(tenant, png(2)).await);
    let other = context.image_create(tenant, png(3)).await;
    let session = SessionId::new();
    let created = context.store.session_create(tenant, session);
    created.await.unwrap();
    // A live session with a turn that ended long ago, and an edit of no session, as old.
    let in_session = context
        .submit(Submission {
            session: Some(session),
            ..context.submission_of(tenant, kept)
        })
        .await;
    let claimed = context.claim(in_session).await;
    let old_checkpoint = checkpoint(&context, &claimed).await;
    let result = context.complete(&claimed).await;
    let alone = context.submit(context.submission_of(tenant, other)).await;
    context.complete(&context.claim(alone).await).await;
    context.sql("update edits set created_at = now() - interval '60 days', finished_at = now() - interval '60 days'").await;
    context.sql("update images set created_at = now() - interval '60 days', used_at = now() - interval '60 days'").await;
    // The session goes on now, and a worker is at it.
    let next = context.submit(context.turn(in_session)).await;
    let claimed = context.claim(next).await;
    let live_checkpoint = checkpoint(&context, &claimed).await;

    let day = Duration::from_secs(86_400);
    let retention = Retention {
        prune_every: Duration::from_millis(100),
        edits: Some(30 * day),
        images: Some(30 * day),
        sweep_every: NEVER,
        ..Retention::default()
    };
    let coordinator = Coordinator::start(
        &context,
        Settings {
            retention,
            ..settings()
        },
    );
    until("the old edit gone", PATIENCE, async || {
        context
            .store
            .edit_get(tenant, alone)
            .await
            .unwrap()
            .is_none()
    })
    .await;
    until("its image gone", PATIENCE, async || {
        context
            .store
            .image_get(tenant, other)
            .await
            .unwrap()
            .is_none()
    })
    .await;
    until("the unused image gone", PATIENCE, async || {
        context
            .store
            .image_get(tenant, unused)
            .await
            .unwrap()
            .is_none()
    })
    .await;
    until("the old checkpoint gone", PATIENCE, async || {
        // It is listed, and due in half a minute.
        context
            .sql("update blob_deletions set due_at = now()")
            .await;
        !context.blobs.exists(&old_checkpoint).await.unwrap()
    })
    .await;
    coordinator.stop().await;
    assert_eq!(context.view(in_session).await.state, StateName::Succeeded);
    assert!(
        context
            .store
            .image_get(tenant, kept)
            .await
            .unwrap()
            .is_some()
    );
    assert!(context.blobs.exists(&result).await.unwrap());
    assert!(context.blobs.exists(&live_checkpoint).await.unwrap());
    context.complete(&claimed).await;
    assert_eq!(context.view(next).await.state, StateName::Succeeded);
}
