use std::time::Duration;

use limekiln_jobs::{Digest, EditId};

use crate::tests::context::*;
use crate::*;

/// Something of 10 bytes, kept under a blob of its own.
fn new(name: &str, by: &str, object: Option<&str>) -> NewIntermediate {
    NewIntermediate {
        key: Digest::of(name.as_bytes()),
        kind: "region",
        object: object.map(|object| Digest::of(object.as_bytes())),
        blob_key: format!("blob-{name}-{by}"),
        digest: Digest::of(by.as_bytes()),
        bytes: 10,
    }
}

fn key(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// Blobs of these names that are still known.
async fn found(context: &TestContext, names: &[&str]) -> Vec<String> {
    let keys: Vec<Digest> = names.iter().map(|name| key(name)).collect();
    let find = context
        .store
        .intermediates_find(context.tenant, &keys, None);
    let mut found: Vec<String> = find
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.blob_key)
        .collect();
    found.sort();
    found
}

async fn keep(
    context: &TestContext,
    edit: EditId,
    source: &[u8],
    new: &[NewIntermediate],
) -> Vec<String> {
    let (owner, source) = ((context.tenant, edit), Digest::of(source));
    let kept = context.store.intermediates_keep(owner, &source, new);
    kept.await.unwrap()
}

/// Whether the blob is listed for deletion.
async fn listed(store: &Store, blob: &str) -> bool {
    let count = sqlx::query("select from blob_deletions where key = $1").bind(blob.to_owned());
    !store.rows("test", count).await.unwrap().is_empty()
}

pub(in crate::tests) async fn of_several_that_make_the_same_the_first_is_kept(store: &Store) {
    let context = TestContext::new(store).await;
    let (one, other) = (context.done().await, context.done().await);
    let tag = context.tenant.to_string();
    let a = new("a", &tag, Some("sofa"));
    assert_eq!(
        keep(
            &context,
            one,
            b"picture",
            &[a.clone(), new("b", &tag, None)]
        )
        .await
        .len(),
        2
    );
    let late = NewIntermediate {
        blob_key: format!("late-{tag}"),
        ..a.clone()
    };
    assert!(keep(&context, other, b"picture", &[late]).await.is_empty());
    let second = new("c", &tag, Some("sofa"));
    assert_eq!(keep(&context, other, b"picture", &[second]).await.len(), 1);

    let keys = [key("a"), key("missing")];
    let object = Digest::of(b"sofa");
    let rows = store
        .intermediates_find(context.tenant, &keys, Some(&object))
        .await
        .unwrap();
    // The key's own, and the object's first.
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|row| row.blob_key == a.blob_key && row.edit == one)
    );
    assert_eq!(rows.iter().filter(|row| row.of_object).count(), 1);
    let stranger = context.with_other_tenant().await;
    let theirs = store.intermediates_find(stranger.tenant, &keys, Some(&object));
    assert!(theirs.await.unwrap().is_empty());
    // Nor is anything kept of another tenant's edit, or of one that is gone.
    let owner = (stranger.tenant, one);
    let late = [new("d", "x", None)];
    let kept = store.intermediates_keep(owner, &object, &late);
    assert!(kept.await.unwrap().is_empty());
    assert!(
        keep(&context, EditId::new(), b"picture", &[new("d", "x", None)])
            .await
            .is_empty()
    );

    // A lost one makes room for another, and not for the one that came in between.
    let lost = rows[0].clone();
    store
        .intermediate_forget(context.tenant, &lost)
        .await
        .unwrap();
    assert!(listed(store, &a.blob_key).await);
    let again = NewIntermediate {
        blob_key: format!("again-{tag}"),
        ..a
    };
    assert_eq!(keep(&context, other, b"picture", &[again]).await.len(), 1);
    store
        .intermediate_forget(context.tenant, &lost)
        .await
        .unwrap();
    assert_eq!(found(&context, &["a"]).await, [format!("again-{tag}")]);
}

pub(in crate::tests) async fn what_was_not_used_for_longest_goes_first(store: &Store) {
    let context = TestContext::new(store).await;
    let other = context.with_other_tenant().await;
    let tag = context.tenant.to_string();
    let edit = context.done().await;
    for name in ["a", "b", "c"] {
        let large = NewIntermediate {
            bytes: 100,
            ..new(name, &tag, None)
        };
        keep(&context, edit, b"picture", &[large]).await;
    }
    let theirs = other.done().await;
    keep(&other, theirs, b"picture", &[new("a", "theirs", None)]).await;
    let used = [key("a"), key("missing"), key("a")];
    store
        .intermediates_used(context.tenant, &used)
        .await
        .unwrap();
    let hits =
        sqlx::query("select from intermediates where tenant_id = $1 and key = $2 and hits = 1")
            .bind(context.tenant.uuid())
            .bind(key("a").bytes().as_slice());
    assert_eq!(store.rows("test", hits).await.unwrap().len(), 1);
    // Within the quota all stays; beyond it, as many as have to go.
    store.intermediates_evict(300, None, 100).await.unwrap();
    assert_eq!(found(&context, &["a", "b", "c"]).await.len(), 3);
    assert!(store.intermediates_evict(250, None, 100).await.unwrap() >= 1);
    assert_eq!(
        found(&context, &["a", "b", "c"]).await,
        [format!("blob-a-{tag}"), format!("blob-c-{tag}")]
    );
    assert!(listed(store, &format!("blob-b-{tag}")).await);
    assert!(store.intermediates_bytes().await.unwrap() >= 210);
    store.intermediates_evict(199, None, 100).await.unwrap();
    assert_eq!(
        found(&context, &["a", "b", "c"]).await,
        [format!("blob-a-{tag}")]
    );
    assert_eq!(
        found(&other, &["a"]).await.len(),
        1,
        "each tenant has a quota of its own"
    );
    // What nobody used goes, too.
    let aged = sqlx::query(
        "update intermediates set used_at = now() - interval '9 days' where tenant_id = $1",
    )
    .bind(other.tenant.uuid());
    store.count("test", aged).await.unwrap();
    let week = Duration::from_secs(7 * 86_400);
    store
        .intermediates_evict(u64::MAX >> 1, Some(week), 100)
        .await
        .unwrap();
    assert!(found(&other, &["a"]).await.is_empty());
    assert_eq!(found(&context, &["a"]).await.len(), 1);
}

pub(in crate::tests) async fn what_was_computed_of_a_picture_goes_with_it(store: &Store) {
    let context = TestContext::new(store).await;
    let tag = context.tenant.to_string();
    let (edit, epoch) = context.running().await;
    let made = result(edit, epoch).digest;
    let completion = Completion {
        edit,
        epoch,
        artifacts: vec![NewArtifact {
            key: format!("t/{tag}/edits/{edit}/1/result.png"),
            ..result(edit, epoch)
        }],
        report: None,
        gpu_ms: 0,
    };
    store.edits_complete(&[completion]).await.unwrap();
    let owner = (context.tenant, edit);
    store
        .intermediates_keep(owner, &made, &[new("of-result", &tag, None)])
        .await
        .unwrap();
    keep(&context, edit, b"picture", &[new("of-image", &tag, None)]).await;
    keep(&context, edit, b"another", &[new("of-another", &tag, None)]).await;
    let names = ["of-result", "of-image", "of-another"];
    let left = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("blob-{name}-{tag}"))
            .collect::<Vec<_>>()
    };

    // No orphans while they are referred to, and listed afterwards.
    let blobs = left(&names);
    assert!(store.blobs_unreferenced(&blobs).await.unwrap().is_empty());
    assert_eq!(store.blobs_referenced(&blobs).await.unwrap().len(), 3);

    assert_eq!(
        store
            .edit_delete(context.tenant, edit, false)
            .await
            .unwrap(),
        Deleted::Gone
    );
    assert_eq!(
        found(&context, &names).await,
        left(&["of-another", "of-image"])
    );
    assert_eq!(
        store
            .image_delete(context.tenant, context.image, true)
            .await
            .unwrap(),
        Deleted::Gone
    );
    assert_eq!(found(&context, &names).await, left(&["of-another"]));
    assert!(listed(store, &blobs[0]).await && listed(store, &blobs[1]).await);
    assert!(store.blobs_unreferenced(&blobs).await.unwrap().is_empty());

    assert!(store.tenant_erase(context.tenant).await.unwrap());
    assert!(store.tenant_erase_finish(context.tenant).await.unwrap());
    assert!(found(&context, &names).await.is_empty());
}
