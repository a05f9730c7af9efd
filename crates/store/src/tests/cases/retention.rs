use std::time::Duration;

use limekiln_jobs::{EditId, SessionId};
use sqlx::Row;

use crate::tests::context::*;
use crate::*;

const DAY: Duration = Duration::from_secs(86_400);

/// Ended two days ago.
async fn old(store: &Store, edit: EditId) {
    age(
        store,
        edit,
        "update edits set finished_at = now() - interval '2 days' where id = $1",
    )
    .await;
}

pub(in crate::tests) async fn the_old_goes_and_the_needed_stays(store: &Store) {
    let context = TestContext::new(store).await;
    let (session, quiet) = (SessionId::new(), SessionId::new());
    store.session_create(context.tenant, session).await.unwrap();
    store.session_create(context.tenant, quiet).await.unwrap();
    let lone = context.done().await;
    let young = context.done().await;
    let in_session = context
        .submit(Submission {
            session: Some(session),
            ..context.submission()
        })
        .await;
    let claimed = context.claim(in_session).await;
    let offered = checkpoint(in_session, claimed.epoch, 3);
    assert!(
        store
            .edits_checkpoint(std::slice::from_ref(&offered))
            .await
            .unwrap()[0]
            .0
            .is_applied()
    );
    assert!(
        context
            .complete(in_session, claimed.epoch)
            .await
            .is_applied()
    );
    let parent = context.done().await;
    let child = context.submit(context.turn(parent)).await;
    let live = context.running().await.0;
    for edit in [lone, in_session, parent] {
        old(store, edit).await;
    }
    let aged =
        sqlx::query("update images set used_at = now() - interval '2 days' where tenant_id = $1")
            .bind(context.tenant.uuid());
    store.count("test", aged).await.unwrap();
    let aged = sqlx::query("update sessions set used_at = now() - interval '2 days' where id = $1")
        .bind(quiet.uuid());
    store.count("test", aged).await.unwrap();
    let unused = store
        .image_create(context.tenant, &picture(context.tenant, b"unused"))
        .await
        .unwrap();

    // The last event stays: who comes back late learns how it ended.
    assert!(store.events_prune(DAY, 1000).await.unwrap() >= 3);
    assert_eq!(
        store
            .events_after(lone, 0, 10)
            .await
            .unwrap()
            .iter()
            .map(|event| event.seq)
            .collect::<Vec<_>>(),
        [3]
    );
    assert_eq!(context.kinds(young).await.len(), 3);
    assert_eq!(context.kinds(live).await.len(), 2);

    // What goes is on the list of blobs to delete, and so no orphan.
    let listed = async |key: &str| {
        let listed = sqlx::query("select 1 from blob_deletions where key = $1").bind(key);
        let orphans = store.blobs_unreferenced(&[key.to_owned()]).await.unwrap();
        store.row("test", listed).await.unwrap().is_some() && orphans.is_empty()
    };
    assert!(store.checkpoints_expire(DAY, 1000).await.unwrap() >= 1);
    assert!(listed(&offered.checkpoint.key).await);

    // Its edits name the image, one of them live.
    store.images_expire(DAY, 1000).await.unwrap();
    let image = store.image_get(context.tenant, context.image).await;
    assert!(image.unwrap().is_some());
    assert!(store.edits_prune(DAY, 1000).await.unwrap() >= 1);
    let there = async |edit| {
        store
            .edit_get(context.tenant, edit)
            .await
            .unwrap()
            .is_some()
    };
    assert!(!there(lone).await);
    for edit in [young, in_session, parent, child, live] {
        assert!(there(edit).await);
    }
    assert!(store.events_after(lone, 0, 10).await.unwrap().is_empty());
    assert!(
        store
            .session_get(context.tenant, session)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store
            .session_get(context.tenant, quiet)
            .await
            .unwrap()
            .is_none()
    );
    assert!(listed(&format!("t/{}/edits/{lone}/", context.tenant)).await);
    let orphaned = result(lone, limekiln_jobs::Epoch::new(1)).key;
    let kept = result(young, limekiln_jobs::Epoch::new(1)).key;
    assert_eq!(
        store
            .blobs_unreferenced(&[orphaned.clone(), kept])
            .await
            .unwrap(),
        [orphaned]
    );

    // The session went quiet and its last edit with it; the image is still named by others.
    let aged = sqlx::query("update sessions set used_at = now() - interval '2 days' where id = $1")
        .bind(session.uuid());
    store.count("test", aged).await.unwrap();
    store.edits_prune(DAY, 1000).await.unwrap();
    assert!(!there(in_session).await);
    let aged = sqlx::query("update images set used_at = now() - interval '2 days' where id = $1")
        .bind(unused.id.uuid());
    store.count("test", aged).await.unwrap();
    assert!(store.images_expire(DAY, 1000).await.unwrap() >= 1);
    assert!(listed(&unused.key).await);
    assert!(
        store
            .image_get(context.tenant, context.image)
            .await
            .unwrap()
            .is_some()
    );
    // Uploaded again it is young again.
    store
        .image_create(context.tenant, &picture(context.tenant, b"picture"))
        .await
        .unwrap();
    let young =
        sqlx::query("select used_at > now() - interval '1 minute' from images where id = $1")
            .bind(context.image.uuid());
    assert!(
        store
            .row("test", young)
            .await
            .unwrap()
            .unwrap()
            .get::<bool, _>(0)
    );
}
