//! What is put is what comes back.

use std::time::Duration;

use bytes::Bytes;
use limekiln_blobs::{Key, Prefix};
use limekiln_jobs::{ArtifactKind, Digest, EditId, Epoch, ErrorKind, Retryable, TenantId};

use super::{MIB, keys};
use crate::home::{Home, noise};

pub(crate) async fn blobs_come_back(home: &Home) {
    let edit = EditId::new();
    let digest = Digest::of(&noise(1, 30_000));
    let cases = [
        (
            Key::image(home.tenant, &digest),
            noise(1, 30_000),
            "image/png",
        ),
        (
            Key::artifact(home.tenant, edit, Epoch::new(1), ArtifactKind::Report),
            Bytes::from_static(b"{\"steps\": 10}"),
            "application/json",
        ),
        (
            Key::checkpoint(home.tenant, edit, Epoch::new(2), 7),
            noise(2, 3),
            "application/octet-stream",
        ),
        (
            Key::edit(home.tenant, edit, Epoch::new(2), "empty").unwrap(),
            Bytes::new(),
            "image/png",
        ),
        (home.key("one-mib"), noise(3, 1 << 20), "image/jpeg"),
        (home.key("more"), noise(4, (1 << 20) + 1), "image/webp"),
    ];
    for (key, body, media_type) in cases {
        assert_eq!(home.blobs.head(&key).await.unwrap(), None);
        let stored = home
            .blobs
            .put(&key, body.clone(), media_type)
            .await
            .unwrap();
        assert_eq!(
            (stored.digest, stored.bytes),
            (Digest::of(&body), body.len() as u64)
        );
        assert_eq!(
            home.blobs
                .get(&key, Some(&stored.digest), MIB * 2)
                .await
                .unwrap(),
            body,
            "{key}"
        );
        assert_eq!(
            home.blobs.get(&key, None, stored.bytes).await.unwrap(),
            body,
            "{key}"
        );
        let head = home.blobs.head(&key).await.unwrap().unwrap();
        assert_eq!(
            (head.bytes, head.media_type.as_deref()),
            (stored.bytes, Some(media_type)),
            "{key}"
        );
        assert!(head.modified.is_some());
        home.blobs.delete(std::slice::from_ref(&key)).await.unwrap();
        assert!(!home.blobs.exists(&key).await.unwrap());
        assert_eq!(
            home.blobs.get(&key, None, MIB).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            home.blobs.download(&key).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}

pub(crate) async fn the_last_put_wins(home: &Home) {
    let key = home.key("twice");
    home.blobs
        .put(&key, noise(1, 5_000), "image/png")
        .await
        .unwrap();
    let last = home
        .blobs
        .put(&key, noise(2, 400), "text/plain")
        .await
        .unwrap();
    assert_eq!(
        home.blobs.get(&key, Some(&last.digest), MIB).await.unwrap(),
        noise(2, 400)
    );
    let head = home.blobs.head(&key).await.unwrap().unwrap();
    assert_eq!(
        (head.bytes, head.media_type.as_deref()),
        (400, Some("text/plain"))
    );
    assert_eq!(keys(&home.blobs, &Prefix::tenant(home.tenant)).await, [key]);
}

pub(crate) async fn large_blobs_go_in_parts(home: &Home) {
    let key = home.key("weights");
    let body = noise(5, (17 << 20) + 3);
    let stored = home
        .blobs
        .put(&key, body.clone(), "application/x-safetensors")
        .await
        .unwrap();
    let head = home.blobs.head(&key).await.unwrap().unwrap();
    assert_eq!(
        (head.bytes, head.media_type.as_deref()),
        (body.len() as u64, Some("application/x-safetensors"))
    );
    assert_eq!(
        home.blobs
            .get(&key, Some(&stored.digest), MIB * 32)
            .await
            .unwrap(),
        body
    );

    let mut download = home.blobs.download(&key).await.unwrap();
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
        home.blobs.uploads_abort(Duration::ZERO, 100).await.unwrap(),
        0
    );
}

pub(crate) async fn what_is_not_expected_is_refused(home: &Home) {
    let key = home.key("image");
    home.blobs
        .put(&key, noise(1, 5_000), "image/png")
        .await
        .unwrap();
    let error = home
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
    let error = home.blobs.get(&key, None, 4_999).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        home.blobs.get(&key, None, 5_000).await.unwrap().len(),
        5_000
    );
}

pub(crate) async fn listings_are_paged_in_order(home: &Home) {
    let other = TenantId::new();
    let mut all = Vec::new();
    for n in 0..12_u8 {
        let key = Key::image(home.tenant, &Digest::of(&[n]));
        home.blobs
            .put(&key, Bytes::from(vec![n; 10 + usize::from(n)]), "image/png")
            .await
            .unwrap();
        all.push(key);
    }
    let (edit, neighbour) = (EditId::new(), EditId::new());
    for (edit, epoch) in [(edit, 1), (edit, 2), (neighbour, 1)] {
        let key = Key::artifact(home.tenant, edit, Epoch::new(epoch), ArtifactKind::Result);
        home.blobs
            .put(&key, noise(9, 9), "image/png")
            .await
            .unwrap();
        all.push(key);
    }
    let foreign = Key::image(other, &Digest::of(b"foreign"));
    home.blobs
        .put(&foreign, noise(9, 9), "image/png")
        .await
        .unwrap();
    all.sort();

    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = home
            .blobs
            .list(&Prefix::tenant(home.tenant), after.as_deref(), 4)
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
        keys(&home.blobs, &Prefix::edit(home.tenant, edit))
            .await
            .len(),
        2
    );
    assert_eq!(keys(&home.blobs, &Prefix::tenant(other)).await, [foreign]);
    assert_eq!(
        keys(&home.blobs, &Prefix::tenants()).await.len(),
        all.len() + 1
    );
    assert_eq!(keys(&home.blobs, &Prefix::all()).await.len(), all.len() + 1);
    assert!(
        keys(&home.blobs, &Prefix::tenant(TenantId::new()))
            .await
            .is_empty()
    );
    let found = home
        .blobs
        .list(&Prefix::tenant(other), None, 1)
        .await
        .unwrap();
    assert_eq!((found.blobs[0].bytes, found.next), (9, None));
}

pub(crate) async fn deletions_are_batched_and_repeatable(home: &Home) {
    let keys_all: Vec<Key> = (0..30).map(|n| home.key(&format!("d/{n}"))).collect();
    for key in &keys_all {
        home.blobs
            .put(key, noise(1, 10), "image/png")
            .await
            .unwrap();
    }
    let mut doomed: Vec<Key> = (0..10).map(|n| home.key(&format!("never/{n}"))).collect();
    doomed.extend_from_slice(&keys_all[..26]);
    home.blobs.delete(&doomed).await.unwrap();
    assert_eq!(
        keys(&home.blobs, &Prefix::tenant(home.tenant)).await.len(),
        4
    );
    home.blobs.delete(&keys_all).await.unwrap();
    home.blobs.delete(&keys_all).await.unwrap();
    home.blobs.delete(&[]).await.unwrap();
    assert!(
        keys(&home.blobs, &Prefix::tenant(home.tenant))
            .await
            .is_empty()
    );
}

pub(crate) async fn deletions_may_be_more_than_a_request_takes(home: &Home) {
    let keys_all: Vec<Key> = (0..1_001).map(|n| home.key(&format!("{n:04}"))).collect();
    for there in [&keys_all[0], &keys_all[999], &keys_all[1_000]] {
        home.blobs
            .put(there, noise(1, 10), "text/plain")
            .await
            .unwrap();
    }
    home.blobs.delete(&keys_all).await.unwrap();
    assert!(keys(&home.blobs, &Prefix::all()).await.is_empty());
}
