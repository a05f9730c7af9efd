//! What is put is what comes back.

use bytes::Bytes;
use limekiln_blobs::{Key, Prefix};
use limekiln_jobs::{ArtifactKind, Digest, EditId, Epoch, ErrorKind, Retryable, TenantId};
use time::OffsetDateTime;

use super::{MIB, keys};
use crate::context::{TestContext, noise};

pub(crate) async fn blobs_come_back(context: &TestContext) {
    let edit = EditId::new();
    let digest = Digest::of(&noise(1, 30_000));
    let cases = [
        (
            Key::image(context.tenant, &digest),
            noise(1, 30_000),
            "image/png",
        ),
        (
            Key::artifact(context.tenant, edit, Epoch::new(1), ArtifactKind::Report),
            Bytes::from_static(b"{\"steps\": 10}"),
            "application/json",
        ),
        (
            Key::checkpoint(context.tenant, edit, Epoch::new(2), 7),
            noise(2, 3),
            "application/octet-stream",
        ),
        (
            Key::edit(context.tenant, edit, Epoch::new(2), "empty").unwrap(),
            Bytes::new(),
            "image/png",
        ),
        (context.key("one-mib"), noise(3, 1 << 20), "image/jpeg"),
        (context.key("more"), noise(4, (1 << 20) + 1), "image/webp"),
    ];
    for (key, body, media_type) in cases {
        assert_eq!(context.blobs.head(&key).await.unwrap(), None);
        let stored = context
            .blobs
            .put(&key, body.clone(), media_type)
            .await
            .unwrap();
        assert_eq!(
            (stored.digest, stored.bytes),
            (Digest::of(&body), body.len() as u64)
        );
        assert_eq!(
            context
                .blobs
                .get(&key, Some(&stored.digest), MIB * 2)
                .await
                .unwrap(),
            body,
            "{key}"
        );
        assert_eq!(
            context.blobs.get(&key, None, stored.bytes).await.unwrap(),
            body,
            "{key}"
        );
        let head = context.blobs.head(&key).await.unwrap().unwrap();
        assert_eq!(
            (head.bytes, head.media_type.as_deref()),
            (stored.bytes, Some(media_type)),
            "{key}"
        );
        assert!(head.modified.is_some());
        context
            .blobs
            .delete(std::slice::from_ref(&key))
            .await
            .unwrap();
        assert!(!context.blobs.exists(&key).await.unwrap());
        assert_eq!(
            context.blobs.get(&key, None, MIB).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            context.blobs.download(&key).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}

/// Puts of several new blobs under one key at once; those that stored theirs.
async fn new_puts(context: &TestContext, key: &Key) -> Vec<&'static str> {
    let put = async |text: &'static str| {
        let put = context.blobs.put_new(key, text.into(), "text/plain").await;
        put.unwrap().then_some(text)
    };
    let stored = tokio::join!(put("one"), put("two"), put("three"), put("four"));
    let stored = [stored.0, stored.1, stored.2, stored.3];
    stored.into_iter().flatten().collect()
}

pub(crate) async fn new_puts_leave_one_of_them(context: &TestContext) {
    let key = context.key("first");
    let stored = new_puts(context, &key).await;
    let kept = context.blobs.get(&key, None, 100).await.unwrap();
    assert!(stored.iter().any(|text| kept == text), "{stored:?}");
    let head = context.blobs.head(&key).await.unwrap().unwrap();
    assert_eq!(head.media_type.as_deref(), Some("text/plain"));
}

pub(crate) async fn one_of_many_new_puts_wins(context: &TestContext) {
    let key = context.key("first");
    let winners = new_puts(context, &key).await;
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert!(new_puts(context, &key).await.is_empty());
    let kept = context.blobs.get(&key, None, 100).await.unwrap();
    assert_eq!(kept, winners[0]);
}

pub(crate) async fn the_last_put_wins(context: &TestContext) {
    let key = context.key("twice");
    context
        .blobs
        .put(&key, noise(1, 5_000), "image/png")
        .await
        .unwrap();
    let last = context
        .blobs
        .put(&key, noise(2, 400), "text/plain")
        .await
        .unwrap();
    assert_eq!(
        context
            .blobs
            .get(&key, Some(&last.digest), MIB)
            .await
            .unwrap(),
        noise(2, 400)
    );
    let head = context.blobs.head(&key).await.unwrap().unwrap();
    assert_eq!(
        (head.bytes, head.media_type.as_deref()),
        (400, Some("text/plain"))
    );
    assert_eq!(
        keys(&context.blobs, &Prefix::tenant(context.tenant)).await,
        [key]
    );
}

pub(crate) async fn large_blobs_go_in_parts(context: &TestContext) {
    let key = context.key("weights");
    let body = noise(5, (17 << 20) + 3);
    let stored = context
        .blobs
        .put(&key, body.clone(), "application/x-safetensors")
        .await
        .unwrap();
    let head = context.blobs.head(&key).await.unwrap().unwrap();
    assert_eq!(
        (head.bytes, head.media_type.as_deref()),
        (body.len() as u64, Some("application/x-safetensors"))
    );
    assert_eq!(
        context
            .blobs
            .get(&key, Some(&stored.digest), MIB * 32)
            .await
            .unwrap(),
        body
    );

    let mut download = context.blobs.download(&key).await.unwrap();
    assert_eq!(download.head.bytes, body.len() as u64);
    let (mut seen, mut pieces) = (0, 0);
    while let Some(piece) = download.next().await.transpose().unwrap() {
        assert_eq!(piece, body[seen..seen + piece.len()]);
        seen += piece.len();
        pieces += 1;
    }
    assert_eq!(seen, body.len());
    assert!(pieces > 1, "a large blob must not come as one piece");
    assert_eq!(
        context
            .blobs
            .uploads_abort(&Prefix::all(), OffsetDateTime::now_utc(), 100)
            .await
            .unwrap(),
        0
    );
}

pub(crate) async fn what_is_not_expected_is_refused(context: &TestContext) {
    let key = context.key("image");
    context
        .blobs
        .put(&key, noise(1, 5_000), "image/png")
        .await
        .unwrap();
    let error = context
        .blobs
        .get(&key, Some(&Digest::of(b"another")), MIB)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error
            .to_string()
            .contains(&Digest::of(b"another").to_string()),
        "{error}"
    );
    let error = context.blobs.get(&key, None, 4_999).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        context.blobs.get(&key, None, 5_000).await.unwrap().len(),
        5_000
    );
}

pub(crate) async fn listings_are_paged_in_order(context: &TestContext) {
    let other = TenantId::new();
    let mut all = Vec::new();
    for n in 0..12_u8 {
        let key = Key::image(context.tenant, &Digest::of(&[n]));
        context
            .blobs
            .put(&key, Bytes::from(vec![n; 10 + usize::from(n)]), "image/png")
            .await
            .unwrap();
        all.push(key);
    }
    let (edit, neighbour) = (EditId::new(), EditId::new());
    for (edit, epoch) in [(edit, 1), (edit, 2), (neighbour, 1)] {
        let key = Key::artifact(
            context.tenant,
            edit,
            Epoch::new(epoch),
            ArtifactKind::Result,
        );
        context
            .blobs
            .put(&key, noise(9, 9), "image/png")
            .await
            .unwrap();
        all.push(key);
    }
    let foreign = Key::image(other, &Digest::of(b"foreign"));
    context
        .blobs
        .put(&foreign, noise(9, 9), "image/png")
        .await
        .unwrap();
    all.sort();

    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = context
            .blobs
            .list(&Prefix::tenant(context.tenant), after.as_deref(), 4)
            .await
            .unwrap();
        assert!(page.blobs.len() <= 4);
        assert!(
            page.blobs
                .iter()
                .all(|listed| listed.bytes > 0 && listed.modified.is_some())
        );
        seen.extend(page.blobs.into_iter().map(|listed| listed.key));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    assert_eq!(pages, 4);

    assert_eq!(
        keys(&context.blobs, &Prefix::edit(context.tenant, edit))
            .await
            .len(),
        2
    );
    assert_eq!(
        keys(&context.blobs, &Prefix::tenant(other)).await,
        [foreign]
    );
    assert_eq!(
        keys(&context.blobs, &Prefix::tenants()).await.len(),
        all.len() + 1
    );
    assert_eq!(
        keys(&context.blobs, &Prefix::all()).await.len(),
        all.len() + 1
    );
    assert!(
        keys(&context.blobs, &Prefix::tenant(TenantId::new()))
            .await
            .is_empty()
    );
    let found = context
        .blobs
        .list(&Prefix::tenant(other), None, 1)
        .await
        .unwrap();
    assert_eq!((found.blobs[0].bytes, found.next), (9, None));
}

pub(crate) async fn deletions_are_batched_and_repeatable(context: &TestContext) {
    let keys_all: Vec<Key> = (0..30).map(|n| context.key(&format!("d/{n}"))).collect();
    for key in &keys_all {
        context
            .blobs
            .put(key, noise(1, 10), "image/png")
            .await
            .unwrap();
    }
    let mut doomed: Vec<Key> = (0..10)
        .map(|n| context.key(&format!("never/{n}")))
        .collect();
    doomed.extend_from_slice(&keys_all[..26]);
    context.blobs.delete(&doomed).await.unwrap();
    assert_eq!(
        keys(&context.blobs, &Prefix::tenant(context.tenant))
            .await
            .len(),
        4
    );
    context.blobs.delete(&keys_all).await.unwrap();
    context.blobs.delete(&keys_all).await.unwrap();
    context.blobs.delete(&[]).await.unwrap();
    assert!(
        keys(&context.blobs, &Prefix::tenant(context.tenant))
            .await
            .is_empty()
    );
}

pub(crate) async fn deletions_may_be_more_than_a_request_takes(context: &TestContext) {
    let keys_all: Vec<Key> = (0..1_001)
        .map(|n| context.key(&format!("{n:04}")))
        .collect();
    for there in [&keys_all[0], &keys_all[999], &keys_all[1_000]] {
        context
            .blobs
            .put(there, noise(1, 10), "text/plain")
            .await
            .unwrap();
    }
    context.blobs.delete(&keys_all).await.unwrap();
    assert!(keys(&context.blobs, &Prefix::all()).await.is_empty());
}
