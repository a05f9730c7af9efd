//! What holds on every S3 server.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use limekiln_blobs::{Blobs, Credentials, Key, Kind, Prefix};
use limekiln_jobs::{ArtifactKind, Digest, EditId, Epoch, TenantId};
use limekiln_testbed::until;

use crate::{
    home::{Home, noise},
    raw,
};

const MIB: u64 = 1 << 20;

async fn keys(blobs: &Blobs, prefix: &Prefix) -> Vec<Key> {
    let page = blobs.list(prefix, None, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    page.blobs.into_iter().map(|listed| listed.key).collect()
}

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
            Kind::NotFound
        );
        assert_eq!(
            home.blobs.download(&key).await.unwrap_err().kind(),
            Kind::NotFound
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
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(
        error
            .to_string()
            .contains(&Digest::of(b"another").to_string()),
        "{error}"
    );
    let error = home.blobs.get(&key, None, 4_999).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge);
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
            Kind::Denied
        );
        assert_eq!(
            stranger
                .put(&key, noise(2, 10), "image/png")
                .await
                .unwrap_err()
                .kind(),
            Kind::Denied
        );
        assert_eq!(
            stranger
                .list(&Prefix::all(), None, 1)
                .await
                .unwrap_err()
                .kind(),
            Kind::Denied
        );
        assert_eq!(
            stranger
                .delete(std::slice::from_ref(&key))
                .await
                .unwrap_err()
                .kind(),
            Kind::Denied
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
        assert_eq!(error.kind(), Kind::NotFound);
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

pub(crate) async fn abandoned_uploads_are_swept(home: &Home) {
    let client = raw::client(&home.settings);
    for name in ["a", "b"] {
        let key = home.key(name).to_string();
        let begun = client
            .create_multipart_upload()
            .bucket(&home.settings.bucket)
            .key(&key)
            .send()
            .await
            .unwrap();
        client
            .upload_part()
            .bucket(&home.settings.bucket)
            .key(&key)
            .upload_id(begun.upload_id().unwrap())
            .part_number(1)
            .body(ByteStream::from(noise(1, 6 << 20)))
            .send()
            .await
            .unwrap();
        assert!(
            !home.blobs.exists(&home.key(name)).await.unwrap(),
            "a part is no blob"
        );
    }
    assert_eq!(
        home.blobs
            .uploads_abort(Duration::from_secs(3_600), 100)
            .await
            .unwrap(),
        0
    );
    // Servers say when an upload began by the second, some by the minute.
    until(
        "both uploads to be old enough",
        Duration::from_secs(10),
        async || {
            home.blobs.uploads_abort(Duration::ZERO, 100).await.unwrap();
            let left = client
                .list_multipart_uploads()
                .bucket(&home.settings.bucket)
                .send()
                .await
                .unwrap();
            left.uploads().is_empty()
        },
    )
    .await;
    assert!(keys(&home.blobs, &Prefix::all()).await.is_empty());
}

pub(crate) async fn an_upload_given_up_leaves_nothing(home: &Home) {
    let client = raw::client(&home.settings);
    let open = async || {
        let left = client
            .list_multipart_uploads()
            .bucket(&home.settings.bucket)
            .send()
            .await
            .unwrap();
        left.uploads().len()
    };
    let (blobs, key) = (home.blobs.clone(), home.key("given-up"));
    let put = tokio::spawn(async move { blobs.put(&key, noise(1, 64 << 20), "image/png").await });
    until("the upload to begin", Duration::from_secs(30), async || {
        open().await == 1
    })
    .await;
    put.abort();
    assert!(put.await.unwrap_err().is_cancelled());
    until(
        "the upload to be aborted",
        Duration::from_secs(30),
        async || open().await == 0,
    )
    .await;
    assert!(!home.blobs.exists(&home.key("given-up")).await.unwrap());
}

pub(crate) async fn half_a_body_is_no_blob(home: &Home) {
    let key = home.key("half");
    let body = noise(1, 100_000);
    let url = raw::put_url(&home.settings, key.as_str()).await;
    if let Some(answer) = raw::ask("PUT", &url, &raw::path(&url), body.len(), &body[..50_000]).await
    {
        assert!(answer.status >= 400, "{answer:?}");
    }
    assert!(!home.blobs.exists(&key).await.unwrap());
    assert!(keys(&home.blobs, &Prefix::all()).await.is_empty());
    // The same request with a whole body: it is the half that was refused.
    let answer = raw::ask("PUT", &url, &raw::path(&url), body.len(), &body)
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        home.blobs
            .get(&key, Some(&Digest::of(&body)), MIB)
            .await
            .unwrap(),
        body
    );
    // And half a body over a whole blob leaves that.
    raw::ask("PUT", &url, &raw::path(&url), body.len(), &noise(2, 50_000)).await;
    assert_eq!(
        home.blobs
            .get(&key, Some(&Digest::of(&body)), MIB)
            .await
            .unwrap(),
        body
    );
}

pub(crate) async fn damaged_bodies_are_refused_and_unseen(home: &Home) {
    let key = home.key("damaged");
    let client = raw::client(&home.settings);
    let put = || {
        client
            .put_object()
            .bucket(&home.settings.bucket)
            .key(key.as_str())
            .body(ByteStream::from(noise(1, 20_000)))
    };
    // MD5, CRC32 and SHA-256 of something else.
    let wrong = [
        put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg=="),
        put().checksum_crc32("AAAAAA=="),
        put().checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ];
    for wrong in wrong {
        let refused = wrong.send().await.unwrap_err();
        assert_eq!(
            refused.raw_response().unwrap().status().as_u16(),
            400,
            "{refused:?}"
        );
        assert!(!home.blobs.exists(&key).await.unwrap());
    }
    // The SDK's own CRC32, in a trailer.
    put().send().await.unwrap();
    assert_eq!(
        home.blobs.get(&key, None, MIB).await.unwrap(),
        noise(1, 20_000)
    );
}
