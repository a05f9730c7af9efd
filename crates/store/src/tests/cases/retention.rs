use std::time::Duration;

use limekiln_jobs::{EditId, SessionId};
use sqlx::Row;
use time::OffsetDateTime;

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

/// Looks at all there is, and counts what went.
async fn all(mut look: impl AsyncFnMut(Option<OffsetDateTime>) -> Pruned) -> u64 {
    let (mut after, mut count) = (None, 0);
    loop {
        let pruned = look(after).await;
        count += pruned.count;
        after = pruned.next;
        if after.is_none() {
            return count;
        }
    }
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

    // What goes is on the list of blobs to delete, and so no orphan.
    let listed = async |key: &str| {
        let listed = sqlx::query("select 1 from blob_deletions where key = $1").bind(key);
        let orphans = store.blobs_unreferenced(&[key.to_owned()]).await.unwrap();
        store.row("test", listed).await.unwrap().is_some() && orphans.is_empty()
    };
    assert!(store.checkpoints_expire(DAY, 1000).await.unwrap() >= 1);
    assert!(listed(&offered.checkpoint.key).await);

    // Its edits name the image, one of them live.
    all(async |after| store.images_expire(DAY, after, 2).await.unwrap()).await;
    let image = store.image_get(context.tenant, context.image).await;
    assert!(image.unwrap().is_some());
    let prune = async || {
        all(async |after| store.edits_prune(DAY, Some(DAY), after, 2).await.unwrap()).await
            + all(async |after| store.sessions_prune(DAY, after, 2).await.unwrap()).await
    };
    assert!(prune().await >= 1);
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
    prune().await;
    assert!(!there(in_session).await);
    let aged = sqlx::query("update images set used_at = now() - interval '2 days' where id = $1")
        .bind(unused.id.uuid());
    store.count("test", aged).await.unwrap();
    assert!(all(async |after| store.images_expire(DAY, after, 2).await.unwrap()).await >= 1);
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

/// A session stays whole for as long as it is kept after its last turn, and then goes whole.
pub(in crate::tests) async fn a_session_goes_with_all_its_turns(store: &Store) {
    let context = TestContext::new(store).await;
    let session = SessionId::new();
    store.session_create(context.tenant, session).await.unwrap();
    let mut turns = vec![
        context
            .submit(Submission {
                session: Some(session),
                ..context.submission()
            })
            .await,
    ];
    for _ in 0..5 {
        let parent = turns[turns.len() - 1];
        let claimed = context.claim(parent).await;
        assert!(context.complete(parent, claimed.epoch).await.is_applied());
        turns.push(context.submit(context.turn(parent)).await);
    }
    let last = turns[turns.len() - 1];
    let claimed = context.claim(last).await;
    assert!(context.complete(last, claimed.epoch).await.is_applied());
    for turn in &turns {
        old(store, *turn).await;
    }
    let prune = async |sessions| {
        all(async |after| store.edits_prune(DAY, sessions, after, 1000).await.unwrap()).await;
        let mut there = 0;
        for turn in &turns {
            let edit = store.edit_get(context.tenant, *turn).await.unwrap();
            there += usize::from(edit.is_some());
        }
        there
    };
    assert_eq!(prune(Some(DAY)).await, 6);
    let aged = sqlx::query("update sessions set used_at = now() - interval '9 days' where id = $1")
        .bind(session.uuid());
    store.count("test", aged).await.unwrap();
    assert_eq!(prune(Some(10 * DAY)).await, 6);
    assert_eq!(prune(None).await, 6);
    assert_eq!(prune(Some(8 * DAY)).await, 0, "all generations at once");
}

/// An image is kept for as long after an edit used it as after it was uploaded.
pub(in crate::tests) async fn an_edit_is_a_use_of_its_image(store: &Store) {
    let context = TestContext::new(store).await;
    let aged = sqlx::query("update images set used_at = now() - interval '2 days' where id = $1")
        .bind(context.image.uuid());
    store.count("test", aged).await.unwrap();
    context.edit().await;
    let used =
        sqlx::query("select used_at > now() - interval '1 minute' from images where id = $1")
            .bind(context.image.uuid());
    let used = store.row("test", used).await.unwrap().unwrap();
    assert!(used.get::<bool, _>(0));
}

/// One coordinator prunes for all.
pub(in crate::tests) async fn one_prunes_at_a_time(store: &Store) {
    let hour = Duration::from_secs(3600);
    let forget = sqlx::query("update fleet set pruned_at = null");
    store.count("test", forget).await.unwrap();
    assert!(store.prune_begin(hour).await.unwrap());
    assert!(!store.prune_begin(hour).await.unwrap());
    assert!(store.prune_begin(Duration::ZERO).await.unwrap());
    let past = sqlx::query("update fleet set pruned_at = now() - interval '61 min'");
    store.count("test", past).await.unwrap();
    assert!(store.prune_begin(hour).await.unwrap());
}
