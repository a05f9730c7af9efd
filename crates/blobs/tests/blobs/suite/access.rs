//! Who may do what, and where.

use std::time::Duration;

use limekiln_blobs::{Credentials, Prefix};

use super::{MIB, keys};
use crate::home::{Home, noise};
use crate::raw;
use limekiln_jobs::{ErrorKind, Retryable};

pub(crate) async fn urls_are_signed_for_one_blob_and_a_time(home: &Home) {
    let key = home.key("result.png");
    let body = noise(1, 40_000);
    home.blobs
        .put(&key, body.clone(), "image/png")
        .await
        .unwrap();
    home.blobs
        .put(&home.key("secret.png"), body.clone(), "image/png")
        .await
        .unwrap();
    let hour = Duration::from_secs(3_600);
    let url = home
        .blobs
        .presign(&key, hour, Some("my \"kiln\".png"))
        .await
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

    let bare = home.blobs.presign(&key, hour, None).await.unwrap();
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
    assert!(home.blobs.exists(&key).await.unwrap());

    let outside = home
        .with(|settings| {
            settings.public_endpoint = Some("https://kiln.example:8443/s3".parse().unwrap())
        })
        .await;
    let url = outside.presign(&key, hour, None).await.unwrap();
    assert_eq!(url.host_str(), Some("kiln.example"));
    assert_eq!(url.path(), format!("/s3/{}/{key}", home.settings.bucket));
}

pub(crate) async fn settings_prefix_keeps_apart(home: &Home) {
    let staging = home
        .with(|settings| settings.prefix = "staging/a".to_owned())
        .await;
    let key = home.key("x");
    staging.put(&key, noise(1, 10), "image/png").await.unwrap();
    assert!(!home.blobs.exists(&key).await.unwrap());
    assert_eq!(staging.get(&key, None, MIB).await.unwrap(), noise(1, 10));
    for n in 0..3 {
        staging
            .put(&home.key(&format!("y{n}")), noise(2, 10), "image/png")
            .await
            .unwrap();
    }
    let first = staging
        .list(&Prefix::tenant(home.tenant), None, 2)
        .await
        .unwrap();
    assert_eq!(first.blobs[0].key, key);
    let rest = staging
        .list(&Prefix::tenant(home.tenant), first.next.as_deref(), 9)
        .await
        .unwrap();
    assert_eq!((rest.blobs.len(), rest.next), (2, None));
    assert!(keys(&home.blobs, &Prefix::tenants()).await.is_empty());
    assert_eq!(keys(&home.blobs, &Prefix::all()).await.len(), 4);
    staging.delete(std::slice::from_ref(&key)).await.unwrap();
    assert!(!staging.exists(&key).await.unwrap());
}

pub(crate) async fn strangers_and_missing_buckets_are_told_apart(home: &Home) {
    let key = home.key("x");
    home.blobs
        .put(&key, noise(1, 10), "image/png")
        .await
        .unwrap();
    let own = home.settings.credentials.clone().unwrap();
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
        let stranger = home
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
    assert_eq!(home.blobs.get(&key, None, MIB).await.unwrap(), noise(1, 10));

    let nowhere = home.blobs.bucket("no-such-bucket-here").unwrap();
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

pub(crate) async fn buckets_are_made_once(home: &Home) {
    let fresh = home
        .blobs
        .bucket(&format!("{}-more", home.settings.bucket))
        .unwrap();
    let (a, b, c) = tokio::join!(
        fresh.bucket_ensure(),
        fresh.bucket_ensure(),
        fresh.bucket_ensure()
    );
    a.and(b).and(c).unwrap();
    let key = home.key("x");
    fresh.put(&key, noise(1, 10), "image/png").await.unwrap();
    fresh.bucket_ensure().await.unwrap();
    assert!(fresh.exists(&key).await.unwrap());
    assert!(!home.blobs.exists(&key).await.unwrap());
}

pub(crate) async fn doctor_sees_a_good_bucket(home: &Home) {
    let report = home.blobs.check().await;
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.checks.len(), 5);
    assert!(report.target.contains(&home.settings.bucket));
    assert!(keys(&home.blobs, &Prefix::all()).await.is_empty());
}
