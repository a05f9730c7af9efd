//! The embedded server's own promises.

use std::{os::unix::fs::PermissionsExt, path::Path};

use limekiln_blobs::{Blobs, Key, Prefix, embedded::Embedded};

use crate::{home::noise, raw};
use limekiln_jobs::{ErrorKind, Retryable};

async fn blobs(server: &Embedded) -> Blobs {
    let blobs = Blobs::connect(&server.settings("kiln")).await.unwrap();
    blobs.bucket_ensure().await.unwrap();
    blobs
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_restart_keeps_blobs_and_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let server = Embedded::start(dir.path(), 0).await.unwrap();
    let key = "t/x/images/y".parse().unwrap();
    let stored = blobs(&server)
        .await
        .put(&key, noise(1, 9_000), "text/plain")
        .await
        .unwrap();
    let (before, secret) = (
        server.endpoint().clone(),
        server.credentials().secret_key.clone(),
    );
    server.stop().await;

    let port = before.port().unwrap();
    let server = Embedded::start(dir.path(), port).await.unwrap();
    assert_eq!(
        (server.endpoint(), &server.credentials().secret_key),
        (&before, &secret)
    );
    let after = blobs(&server).await;
    assert_eq!(
        after
            .get(&key, Some(&stored.digest), 1 << 20)
            .await
            .unwrap(),
        noise(1, 9_000)
    );
    assert_eq!(
        after
            .head(&key)
            .await
            .unwrap()
            .unwrap()
            .media_type
            .as_deref(),
        Some("text/plain")
    );

    let credentials = std::fs::metadata(dir.path().join("credentials")).unwrap();
    assert_eq!(credentials.permissions().mode() & 0o777, 0o600);
    assert!(!format!("{:?}", server.credentials()).contains(&secret));
    assert_eq!(server.endpoint().host_str(), Some("127.0.0.1"));
}

#[tokio::test]
async fn one_server_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = Embedded::start(dir.path(), 0).await.unwrap();
    let refused = Embedded::start(dir.path(), 0).await.unwrap_err();
    assert!(
        refused.to_string().contains("another process serves"),
        "{refused}"
    );
    first.stop().await;
    Embedded::start(dir.path(), 0).await.unwrap();
}

#[tokio::test]
async fn damaged_credentials_are_said_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("credentials"), "limekiln\n").unwrap();
    let refused = Embedded::start(dir.path(), 0).await.unwrap_err();
    assert!(refused.to_string().contains("delete it"), "{refused}");
}

#[tokio::test]
async fn deletions_leave_nothing_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = Embedded::start(dir.path(), 0).await.unwrap();
    let blobs = blobs(&server).await;
    let keys: Vec<_> = ["t/a/b/c", "t/a/b/d", "t/e"]
        .map(|key| key.parse().unwrap())
        .to_vec();
    for key in &keys {
        blobs.put(key, noise(1, 10), "text/plain").await.unwrap();
    }
    // In parts, what s3s-fs keeps beside is more.
    let large = "t/large".parse().unwrap();
    blobs
        .put(&large, noise(1, 9 << 20), "text/plain")
        .await
        .unwrap();
    blobs.delete(&keys[..1]).await.unwrap();
    assert_eq!(blobs.get(&keys[1], None, 99).await.unwrap(), noise(1, 10));
    blobs.delete(&keys).await.unwrap();
    blobs.delete(&[large]).await.unwrap();
    assert_eq!(names(&dir.path().join("data")), ["kiln"]);
    assert!(names(&dir.path().join("data/kiln")).is_empty());
}

#[tokio::test]
async fn deletions_may_be_more_than_a_request_takes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Embedded::start(dir.path(), 0).await.unwrap();
    let blobs = blobs(&server).await;
    let keys: Vec<Key> = (0..1_001)
        .map(|n| format!("t/{n:04}").parse().unwrap())
        .collect();
    for there in [&keys[0], &keys[999], &keys[1_000]] {
        blobs.put(there, noise(1, 10), "text/plain").await.unwrap();
    }
    blobs.delete(&keys).await.unwrap();
    assert!(
        blobs
            .list(&Prefix::all(), None, 9)
            .await
            .unwrap()
            .blobs
            .is_empty()
    );
}

#[tokio::test]
async fn a_key_is_no_path() {
    let dir = tempfile::tempdir().unwrap();
    let server = Embedded::start(dir.path(), 0).await.unwrap();
    let blobs = blobs(&server).await;
    blobs
        .put(&"t/x".parse().unwrap(), noise(1, 10), "text/plain")
        .await
        .unwrap();
    let other = blobs.bucket("other").unwrap();
    other.bucket_ensure().await.unwrap();
    other
        .put(&"t/y".parse().unwrap(), noise(2, 10), "text/plain")
        .await
        .unwrap();
    let settings = server.settings("kiln");
    let client = raw::client(&settings);
    let before = names(&dir.path().join("data"));

    let tricks = [
        "../other/t/y",
        "t/../../other/t/y",
        "../../credentials",
        "..",
        "t/..",
        "./t/x",
        "t//x",
        "/t/x",
        "t/x/",
        ".hidden",
        "t\\x",
        "/etc/passwd",
        "../.bucket-a2lsbg.object-dC94.metadata.json",
    ];
    for trick in tricks {
        let (get, put, delete) = tokio::join!(
            client.get_object().bucket("kiln").key(trick).send(),
            client
                .put_object()
                .bucket("kiln")
                .key(trick)
                .body(noise(3, 5).into())
                .send(),
            client.delete_object().bucket("kiln").key(trick).send(),
        );
        assert!(get.is_err(), "{trick}");
        assert!(put.is_err(), "{trick}");
        assert!(delete.is_err(), "{trick}");
        assert!(
            client
                .create_multipart_upload()
                .bucket("kiln")
                .key(trick)
                .send()
                .await
                .is_err(),
            "{trick}"
        );
    }
    // A directory is no blob, and a blob is no directory.
    assert_eq!(
        blobs
            .get(&"t".parse().unwrap(), None, 99)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        blobs
            .get(&"t/x/y".parse().unwrap(), None, 99)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    blobs
        .delete(&["t".parse().unwrap(), "t/x/y".parse().unwrap()])
        .await
        .unwrap();
    // Bare requests, which no client's library has tidied.
    for path in [
        "/kiln/../credentials",
        "/kiln/%2e%2e/other/t/y",
        "/..%2fcredentials",
        "/kiln/t/x",
    ] {
        let answer = raw::ask("GET", server.endpoint(), path, 0, b"")
            .await
            .unwrap();
        assert!(answer.status >= 400, "{path}: {answer:?}");
    }
    assert_eq!(
        blobs.get(&"t/x".parse().unwrap(), None, 99).await.unwrap(),
        noise(1, 10)
    );
    assert_eq!(
        other.get(&"t/y".parse().unwrap(), None, 99).await.unwrap(),
        noise(2, 10)
    );
    assert_eq!(names(&dir.path().join("data")), before);
}
