//! The local cache, before an S3 server.

use std::path::Path;

use limekiln_blobs::{Cache, Key};
use limekiln_jobs::{Digest, ErrorKind, Retryable};

use crate::context::{TestContext, noise};

const LIMIT: u64 = 1 << 20;

async fn stored(context: &TestContext, seed: u64, bytes: usize) -> (Key, Digest) {
    let body = noise(seed, bytes);
    let digest = Digest::of(&body);
    let key = Key::image(context.tenant, &digest);
    context
        .blobs
        .put_digested(&key, body, digest, "image/png")
        .await
        .unwrap();
    (key, digest)
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[tokio::test]
async fn a_second_fetch_needs_no_server() {
    let context = TestContext::s3().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), LIMIT).await.unwrap();
    let (key, digest) = stored(&context, 1, 30_000).await;
    assert_eq!(cache.get(&digest).await.unwrap(), None);
    assert_eq!(
        cache
            .fetch(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap(),
        noise(1, 30_000)
    );
    context
        .blobs
        .delete(std::slice::from_ref(&key))
        .await
        .unwrap();
    assert_eq!(
        cache
            .fetch(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap(),
        noise(1, 30_000)
    );
    assert_eq!(cache.get(&digest).await.unwrap().unwrap(), noise(1, 30_000));
    let counts = cache.stats();
    assert_eq!(
        (counts.hits, counts.misses, counts.files, counts.bytes),
        (2, 2, 1, 30_000)
    );

    // A later process takes it over.
    let later = Cache::open(dir.path(), LIMIT).await.unwrap();
    assert_eq!((later.stats().files, later.stats().bytes), (1, 30_000));
    assert_eq!(
        later
            .fetch(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap(),
        noise(1, 30_000)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_make_one_request() {
    let context = TestContext::s3().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), LIMIT).await.unwrap();
    let (key, digest) = stored(&context, 2, 200_000).await;
    let all = (0..32).map(|_| {
        let (cache, blobs, key) = (cache.clone(), context.blobs.clone(), key.clone());
        tokio::spawn(async move { cache.fetch(&blobs, &key, &digest, LIMIT).await })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap().unwrap(), noise(2, 200_000));
    }
    let counts = cache.stats();
    assert_eq!((counts.misses, counts.hits), (1, 31));
    assert_eq!(files(dir.path()), 1);
}

#[tokio::test]
async fn damage_on_disk_is_found_and_mended() {
    let context = TestContext::s3().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), LIMIT).await.unwrap();
    let (key, digest) = stored(&context, 3, 10_000).await;
    let file = dir.path().join(digest.to_string());
    for damaged in [
        noise(4, 10_000),
        noise(3, 10_000).slice(..9_999),
        noise(3, 0),
    ] {
        cache
            .fetch(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap();
        std::fs::write(&file, &damaged).unwrap();
        assert_eq!(cache.get(&digest).await.unwrap(), None);
        assert!(!file.exists());
        assert_eq!(
            cache
                .fetch(&context.blobs, &key, &digest, LIMIT)
                .await
                .unwrap(),
            noise(3, 10_000)
        );
    }
    // Weights that another process left damaged.
    std::fs::write(&file, noise(4, 10_000)).unwrap();
    let later = Cache::open(dir.path(), LIMIT).await.unwrap();
    let pinned = later
        .fetch_file(&context.blobs, &key, &digest, LIMIT)
        .await
        .unwrap();
    assert_eq!(std::fs::read(pinned.path()).unwrap(), noise(3, 10_000));
    // And a file that is gone.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(later.get(&digest).await.unwrap(), None);
    let again = later
        .fetch_file(&context.blobs, &key, &digest, LIMIT)
        .await
        .unwrap();
    assert!(again.path().exists());
    assert_eq!(files(dir.path()), 1);
}

#[tokio::test]
async fn it_stays_within_its_bytes() {
    let context = TestContext::s3().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), 100_000).await.unwrap();
    let mut digests = Vec::new();
    for seed in 0..5 {
        let (key, digest) = stored(&context, 10 + seed, 30_000).await;
        cache
            .fetch(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap();
        // The first is used all the time, so it stays.
        cache
            .fetch(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap();
        digests.push(digest);
        cache.get(&digests[0]).await.unwrap().unwrap();
        assert!(cache.stats().bytes <= 100_000);
    }
    assert_eq!((cache.stats().files, cache.stats().evicted), (3, 2));
    assert_eq!(files(dir.path()), 3);
    assert_eq!(cache.get(&digests[1]).await.unwrap(), None);

    // Larger than all of it: given, not kept.
    let (key, digest) = stored(&context, 20, 100_001).await;
    assert_eq!(
        cache
            .fetch(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap()
            .len(),
        100_001
    );
    assert_eq!(cache.get(&digest).await.unwrap(), None);
    assert_eq!(
        cache
            .fetch_file(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::TooLarge
    );

    // Less room for a later process.
    let later = Cache::open(dir.path(), 60_000).await.unwrap();
    assert_eq!((later.stats().files, files(dir.path())), (2, 2));
    assert!(
        later.get(&digests[0]).await.unwrap().is_some(),
        "the most recently used was put out"
    );
}

#[tokio::test]
async fn weights_in_use_are_not_put_out() {
    let context = TestContext::s3().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), 100_000).await.unwrap();
    let (key, digest) = stored(&context, 30, 80_000).await;
    let pinned = cache
        .fetch_file(&context.blobs, &key, &digest, LIMIT)
        .await
        .unwrap();
    let second = cache
        .fetch_file(&context.blobs, &key, &digest, LIMIT)
        .await
        .unwrap();
    assert_eq!(pinned.path(), second.path());
    for seed in 31..34 {
        let (key, digest) = stored(&context, seed, 50_000).await;
        cache
            .fetch(&context.blobs, &key, &digest, LIMIT)
            .await
            .unwrap();
    }
    drop(second);
    assert_eq!(std::fs::read(pinned.path()).unwrap(), noise(30, 80_000));
    let path = pinned.path().to_owned();
    drop(pinned);
    let (key, digest) = stored(&context, 35, 50_000).await;
    cache
        .fetch(&context.blobs, &key, &digest, LIMIT)
        .await
        .unwrap();
    assert!(!path.exists());
    assert!(cache.stats().bytes <= 100_000);
}

#[tokio::test]
async fn what_s3_sends_wrong_is_not_kept() {
    let context = TestContext::s3().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), LIMIT).await.unwrap();
    let key = context.key("lies");
    context
        .blobs
        .put(&key, noise(1, 5_000), "image/png")
        .await
        .unwrap();
    let other = Digest::of(b"other");
    assert_eq!(
        cache
            .fetch(&context.blobs, &key, &other, LIMIT)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Corrupt
    );
    assert_eq!(
        cache
            .fetch_file(&context.blobs, &key, &other, LIMIT)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Corrupt
    );
    let gone = context.key("gone");
    assert_eq!(
        cache
            .fetch_file(&context.blobs, &gone, &other, LIMIT)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        cache
            .fetch_file(&context.blobs, &key, &Digest::of(&noise(1, 5_000)), 99)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(files(dir.path()), 0, "a temporary file stays");
}
