use std::time::Duration;

use limekiln_jobs::Epoch;

use crate::tests::context::*;
use crate::*;

const GRACE: Duration = Duration::from_secs(86_400);

/// A blob written at `modified_s`.
fn blob(key: &str, modified_s: i64) -> WalkedBlob {
    WalkedBlob {
        key: key.to_owned(),
        modified_s,
    }
}

/// A walk over these blobs, now; what is due at its end.
async fn walk(store: &Store, blobs: &[WalkedBlob]) -> (Walked, Vec<String>) {
    let began = store.walk_begin(Duration::ZERO, GRACE).await;
    let began = began.unwrap().unwrap();
    let walked = store.sweep_mark(blobs, 100, GRACE).await.unwrap();
    store.walk_end(began, false).await.unwrap();
    let mut due: Vec<String> = store
        .sweep_due(began, GRACE, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|blob| blob.key)
        .collect();
    due.sort();
    (walked, due)
}

/// Two days pass.
async fn days_pass(store: &Store) {
    let aged = "update sweep_candidates set first_seen_at = first_seen_at - interval '2 days', seen_at = seen_at - interval '2 days'";
    store.count("test", sqlx::query(aged)).await.unwrap();
}

pub(in crate::tests) async fn candidates_are_orphans_of_two_walks_a_grace_apart(store: &Store) {
    let context = TestContext::new(store).await;
    let known = picture(context.tenant, b"picture").key;
    let done = context.done().await;
    let used = result(done, Epoch::new(1)).key;
    let key = |name: &str| format!("t/{}/edits/{name}", context.tenant);
    let (lost, again) = (key("lost"), key("again"));
    let all = [
        blob(&known, 1),
        blob(&used, 1),
        blob(&lost, 1),
        blob(&again, 1),
    ];
    let (walked, due) = walk(store, &all).await;
    // They may get their rows yet.
    assert_eq!((walked.unknown, walked.fresh), (0, 2));
    assert!(due.is_empty(), "after one walk: {due:?}");
    let (walked, due) = walk(store, &all).await;
    assert_eq!((walked.unknown, walked.fresh), (0, 0));
    assert!(due.is_empty(), "within the grace: {due:?}");

    days_pass(store).await;
    // One was written again meanwhile, and counts anew.
    let later = [
        blob(&known, 1),
        blob(&used, 1),
        blob(&lost, 1),
        blob(&again, 2),
    ];
    let (walked, due) = walk(store, &later).await;
    assert_eq!(due, std::slice::from_ref(&lost));
    assert_eq!(walked.unknown, 1);
    store.sweep_forget(&due).await.unwrap();

    // What no walk comes by is forgotten.
    walk(store, &all[..2]).await;
    let (walked, _) = walk(store, &later[3..]).await;
    assert_eq!((walked.unknown, walked.fresh), (0, 1));

    // There is no room for more than may be recorded, and who knows how old the others are.
    let many: Vec<WalkedBlob> = (0..20).map(|n| blob(&key(&n.to_string()), 1)).collect();
    let walked = store.sweep_mark(&many, 5, GRACE).await.unwrap();
    assert_eq!((walked.unknown, walked.fresh), (15, 5));
    assert_eq!(store.sweep_room(8).await.unwrap(), 2);
    assert_eq!(store.sweep_room(3).await.unwrap(), 0);

    // What was pruned is listed for deletion; what an operator accepted speaks against nobody.
    age(
        store,
        done,
        "update edits set finished_at = now() - interval '2 days' where id = $1",
    )
    .await;
    store.edits_prune(GRACE, None, None, 1000).await.unwrap();
    let pruned = key(&format!("{done}/1/result.png"));
    days_pass(store).await;
    let (walked, _) = walk(store, &[blob(&pruned, 1), blob(&again, 2)]).await;
    assert_eq!((walked.unknown, walked.fresh), (1, 0));
    assert!(store.sweep_accept().await.unwrap() >= 1);
    let (walked, _) = walk(store, &[blob(&again, 2)]).await;
    assert_eq!(walked.unknown, 0);
    walk(store, &[blob(&again, 3)]).await;
    days_pass(store).await;
    let (walked, _) = walk(store, &[blob(&again, 3)]).await;
    assert_eq!(walked.unknown, 1, "it was written after it was accepted");
}

pub(in crate::tests) async fn a_walk_that_died_begins_again_soon(store: &Store) {
    let hour = Duration::from_secs(3600);
    let begin = async || store.walk_begin(GRACE, hour).await.unwrap();
    let hours_pass = async || {
        let aged = "update fleet set walk_seen_at = walk_seen_at - interval '2 hours'";
        store.count("test", sqlx::query(aged)).await.unwrap();
    };
    let first = store.walk_begin(Duration::ZERO, hour).await;
    let first = first.unwrap().unwrap();
    assert_eq!(begin().await, None);
    hours_pass().await;
    store.walk_seen(first, true).await.unwrap();
    assert_eq!(begin().await, None);
    hours_pass().await;
    let second = begin().await.unwrap();
    // The first was only slow, and has no say any more.
    store.walk_seen(first, false).await.unwrap();
    hours_pass().await;
    let third = begin().await.unwrap();
    assert!(third > second);
    store.walk_seen(third, false).await.unwrap();
    hours_pass().await;
    assert_eq!(begin().await, None, "it is over, and the next is not due");
}

pub(in crate::tests) async fn marks_only_grow_and_outlive_their_edits(store: &Store) {
    let context = TestContext::new(store).await;
    let edit = context.edit().await;
    let first = store.mark_advance(None).await.unwrap();
    // Another case may have made one whose id is of later.
    let newest = first.newest_edit.unwrap();
    assert!(newest >= edit);
    assert_eq!(store.mark().await.unwrap(), first);
    let slow = "update fleet set marked_at = now() + interval '1 hour'";
    store.count("test", sqlx::query(slow)).await.unwrap();
    let ahead = store.mark().await.unwrap().marked_at;
    let second = store.mark_advance(None).await.unwrap();
    assert!(second.marked_at > ahead, "a clock that was set back");
    assert_eq!(second.fleet, first.fleet);

    let erased = sqlx::query("delete from edits where id = $1").bind(newest.uuid());
    store.count("test", erased).await.unwrap();
    let third = store.mark_advance(None).await.unwrap();
    assert_eq!(third.newest_edit, Some(newest));
    let marker = third.marked_at.unwrap() + Duration::from_secs(9);
    let accepted = store.restore_accept(marker).await.unwrap();
    assert!(accepted.marked_at > Some(marker));
    assert_eq!(
        store.fleet_if_migrated().await.unwrap(),
        Some(accepted.fleet)
    );
}
