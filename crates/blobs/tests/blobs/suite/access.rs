//! Who may do what, and where.

use std::time::Duration;

use limekiln_blobs::{Credentials, Prefix};

use super::{MIB, keys};
use crate::context::{TestContext, noise};
use crate::raw;
use limekiln_jobs::{ErrorKind, Retryable};

pub(crate) async fn urls_are_signed_for_one_blob_and_a_time(context: &TestContext) {
    let key = context.key("result.png");
    let body = noise(1, 40_000);
    context
        .blobs
        .put(&key, body.clone(), "image/png")
        .await
        .unwrap();
    context
        .blobs
        .put(&context.key("secret.png"), body.clone(), "image/png")
        .await
        .unwrap();
    let hour = Duration::from_secs(3_600);
    let url = context
        .blobs
        .presign(&key, hour, Some("my \"kiln\".png"))
        .await
        .unwrap()
        .unwrap();
    let answer = raw::ask("GET", &url, &raw::path(&url), 0, b"")
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.head.contains("content-type: image/png"),
        "{}",
        answer.head
    );
    assert!(
        answer
            .head
            .contains("attachment; filename=\"my _kiln_.png\""),
        "{}",
        answer.head
    );
    assert_eq!(answer.body, body);

    let bare = context
        .blobs
        .presign(&key, hour, None)
        .await
        .unwrap()
        .unwrap();
    let good = raw::path(&bare);
    assert_eq!(
        raw::ask("GET", &bare, &good, 0, b"").await.unwrap().status,
        200
    );
    let tampered = [
        good.replace("result.png", "secret.png"),
        good.replace("X-Amz-Expires=3600", "X-Amz-Expires=86400"),
        good.split_once('?').unwrap().0.to_owned(),
    ];
    for path in tampered {
        assert_ne!(path, good);
        let answer = raw::ask("GET", &bare, &path, 0, b"").await.unwrap();
        assert!(
            !answer.body.ends_with(&body[body.len() - 99..]) && answer.status >= 400,
            "{path}: {answer:?}"
        );
    }
    assert!(
        raw::ask("DELETE", &bare, &good, 0, b"")
            .await
            .unwrap()
            .status
            >= 400
    );
    assert!(context.blobs.exists(&key).await.unwrap());

    let outside = context
        .with(|settings| {
            settings.public_endpoint = Some("https://kiln.example:8443/s3".parse().unwrap())
        })
        .await;
    let url = outside.presign(&key, hour, None).await.unwrap().unwrap();
    assert_eq!(url.host_str(), Some("kiln.example"));
    assert_eq!(url.path(), format!("/s3/{}/{key}", context.bucket));
}

pub(crate) async fn prefixes_keep_apart(context: &TestContext) {
    let staging = context.prefixed("staging/a").await;
    let neighbour = context.prefixed("staging/at").await;
    neighbour
        .put(&context.key("x"), noise(3, 10), "image/png")
        .await
        .unwrap();
    let key = context.key("x");
    staging.put(&key, noise(1, 10), "image/png").await.unwrap();
    assert!(!context.blobs.exists(&key).await.unwrap());
    assert_eq!(staging.get(&key, None, MIB).await.unwrap(), noise(1, 10));
    for n in 0..3 {
        staging
            .put(&context.key(&format!("y{n}")), noise(2, 10), "image/png")
            .await
            .unwrap();
    }
    let first = staging
        .list(&Prefix::tenant(context.tenant), None, 2)
        .await
        .unwrap();
    assert_eq!(first.blobs[0].key, key);
    let rest = staging
        .list(&Prefix::tenant(context.tenant), first.next.as_deref(), 9)
        .await
        .unwrap();
    assert_eq!((rest.blobs.len(), rest.next), (2, None));
    assert!(keys(&context.blobs, &Prefix::tenants()).await.is_empty());
    assert_eq!(keys(&staging, &Prefix::all()).await.len(), 4);
    assert_eq!(keys(&context.blobs, &Prefix::all()).await.len(), 5);
    staging.delete(std::slice::from_ref(&key)).await.unwrap();
    assert!(!staging.exists(&key).await.unwrap());
}

pub(crate) async fn strangers_are_told(context: &TestContext) {
    let key = context.key("x");
    context
        .blobs
        .put(&key, noise(1, 10), "image/png")
        .await
        .unwrap();
    let own = context.settings().credentials.clone().unwrap();
    let strangers = [
        Credentials {
            access_key: own.access_key.clone(),
            secret_key: "wrong".repeat(8),
        },
        Credentials {
            access_key: "nobody".to_owned(),
            secret_key: own.secret_key,
        },
    ];
    for credentials in strangers {
        let stranger = context
            .with(|settings| settings.credentials = Some(credentials))
            .await;
        assert_eq!(
            stranger.get(&key, None, MIB).await.unwrap_err().kind(),
            ErrorKind::Denied
        );
        assert_eq!(
            stranger
                .put(&key, noise(2, 10), "image/png")
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Denied
        );
        assert_eq!(
            stranger
                .list(&Prefix::all(), None, 1)
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Denied
        );
        assert_eq!(
            stranger
                .delete(std::slice::from_ref(&key))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Denied
        );
        let report = stranger.check().await;
        let problem = report.checks[0].problem.as_ref().unwrap();
        assert!(problem.contains("AWS_ACCESS_KEY_ID"), "{problem}");
    }
    assert_eq!(
        context.blobs.get(&key, None, MIB).await.unwrap(),
        noise(1, 10)
    );
}

pub(crate) async fn missing_buckets_are_told(context: &TestContext) {
    let key = context.key("x");
    let nowhere = context.blobs.bucket("no-such-bucket-here").unwrap();
    for error in [
        nowhere
            .put(&key, noise(1, 10), "image/png")
            .await
            .unwrap_err(),
        nowhere.list(&Prefix::all(), None, 1).await.unwrap_err(),
        nowhere.get(&key, None, MIB).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error
                .to_string()
                .contains("no bucket `no-such-bucket-here`"),
            "{error}"
        );
    }
    let report = nowhere.check().await;
    assert!(!report.is_ok());
    assert!(
        report.checks[0]
            .problem
            .as_ref()
            .unwrap()
            .contains("S3_BUCKET"),
        "{report:?}"
    );
}

pub(crate) async fn buckets_are_made_once(context: &TestContext) {
    let fresh = context
        .blobs
        .bucket(&format!("{}-more", context.bucket))
        .unwrap();
    let (a, b, c) = tokio::join!(
        fresh.bucket_ensure(),
        fresh.bucket_ensure(),
        fresh.bucket_ensure()
    );
    a.and(b).and(c).unwrap();
    let key = context.key("x");
    fresh.put(&key, noise(1, 10), "image/png").await.unwrap();
    fresh.bucket_ensure().await.unwrap();
    assert!(fresh.exists(&key).await.unwrap());
    assert!(!context.blobs.exists(&key).await.unwrap());
}

pub(crate) async fn doctor_sees_a_good_bucket(context: &TestContext) {
    let report = context.blobs.check().await;
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.checks.len(), 5);
    assert!(report.target.contains(&context.bucket));
    assert!(keys(&context.blobs, &Prefix::all()).await.is_empty());
}

/// No name that is not a key reaches a file of our server. (Swift takes any name: its blobs are no files of that name.)
pub(crate) async fn a_key_is_no_path(context: &TestContext) {
    let key = context.key("x");
    context
        .blobs
        .put(&key, noise(1, 10), "text/plain")
        .await
        .unwrap();
    let client = raw::client(context.settings());
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
            client
                .get_object()
                .bucket(&context.bucket)
                .key(trick)
                .send(),
            client
                .put_object()
                .bucket(&context.bucket)
                .key(trick)
                .body(noise(3, 5).into())
                .send(),
            client
                .delete_object()
                .bucket(&context.bucket)
                .key(trick)
                .send(),
        );
        assert!(get.is_err(), "{trick}");
        assert!(put.is_err(), "{trick}");
        assert!(delete.is_err(), "{trick}");
        let begun = client
            .create_multipart_upload()
            .bucket(&context.bucket)
            .key(trick)
            .send()
            .await;
        assert!(begun.is_err(), "{trick}");
    }
    // Bare requests, which no client's library has tidied.
    let endpoint = context.settings().endpoint.as_ref().unwrap();
    for path in [
        format!("/{}/../credentials", context.bucket),
        format!("/{}/%2e%2e/other/t/y", context.bucket),
        "/..%2fcredentials".to_owned(),
        format!("/{}/{key}", context.bucket),
    ] {
        let answer = raw::ask("GET", endpoint, &path, 0, b"").await.unwrap();
        assert!(answer.status >= 400, "{path}: {answer:?}");
    }
    assert_eq!(keys(&context.blobs, &Prefix::all()).await, [key]);
}
