//! What is half done or damaged is nobody's blob.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use limekiln_blobs::Prefix;
use limekiln_jobs::Digest;
use limekiln_testbed::until;
use time::OffsetDateTime;

use super::{MIB, keys};
use crate::context::{TestContext, noise};
use crate::raw;

pub(crate) async fn abandoned_uploads_are_swept(context: &TestContext) {
    let client = raw::client(context.settings());
    for name in ["a", "b"] {
        let key = context.key(name).to_string();
        let begun = client
            .create_multipart_upload()
            .bucket(&context.bucket)
            .key(&key)
            .send()
            .await
            .unwrap();
        client
            .upload_part()
            .bucket(&context.bucket)
            .key(&key)
            .upload_id(begun.upload_id().unwrap())
            .part_number(1)
            .body(ByteStream::from(noise(1, 6 << 20)))
            .send()
            .await
            .unwrap();
        assert!(
            !context.blobs.exists(&context.key(name)).await.unwrap(),
            "a part is no blob"
        );
    }
    assert_eq!(
        context
            .blobs
            .uploads_abort(
                &Prefix::all(),
                OffsetDateTime::now_utc() - Duration::from_secs(3_600),
                100
            )
            .await
            .unwrap(),
        0
    );
    // Servers say when an upload began by the second, some by the minute.
    until(
        "both uploads to be old enough",
        Duration::from_secs(10),
        async || {
            context
                .blobs
                .uploads_abort(&Prefix::all(), OffsetDateTime::now_utc(), 100)
                .await
                .unwrap();
            let left = client
                .list_multipart_uploads()
                .bucket(&context.bucket)
                .send()
                .await
                .unwrap();
            left.uploads().is_empty()
        },
    )
    .await;
    assert!(keys(&context.blobs, &Prefix::all()).await.is_empty());
}

pub(crate) async fn an_upload_given_up_leaves_nothing(context: &TestContext) {
    let client = raw::client(context.settings());
    let open = async || {
        let left = client
            .list_multipart_uploads()
            .bucket(&context.bucket)
            .send()
            .await
            .unwrap();
        left.uploads().len()
    };
    let (blobs, key) = (context.blobs.clone(), context.key("given-up"));
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
    assert!(
        !context
            .blobs
            .exists(&context.key("given-up"))
            .await
            .unwrap()
    );
}

pub(crate) async fn half_a_body_is_no_blob(context: &TestContext) {
    let key = context.key("half");
    let body = noise(1, 100_000);
    let url = raw::put_url(context.settings(), key.as_str()).await;
    if let Some(answer) = raw::ask("PUT", &url, &raw::path(&url), body.len(), &body[..50_000]).await
    {
        assert!(answer.status >= 400, "{answer:?}");
    }
    assert!(!context.blobs.exists(&key).await.unwrap());
    assert!(keys(&context.blobs, &Prefix::all()).await.is_empty());
    // The same request with a whole body: it is the half that was refused.
    let answer = raw::ask("PUT", &url, &raw::path(&url), body.len(), &body)
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        context
            .blobs
            .get(&key, Some(&Digest::of(&body)), MIB)
            .await
            .unwrap(),
        body
    );
    // And half a body over a whole blob leaves that.
    raw::ask("PUT", &url, &raw::path(&url), body.len(), &noise(2, 50_000)).await;
    assert_eq!(
        context
            .blobs
            .get(&key, Some(&Digest::of(&body)), MIB)
            .await
            .unwrap(),
        body
    );
}

pub(crate) async fn damaged_bodies_are_refused_and_unseen(context: &TestContext) {
    let key = context.key("damaged");
    let client = raw::client(context.settings());
    let put = || {
        client
            .put_object()
            .bucket(&context.bucket)
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
        assert!(!context.blobs.exists(&key).await.unwrap());
    }
    // The SDK's own CRC32, in a trailer.
    put().send().await.unwrap();
    assert_eq!(
        context.blobs.get(&key, None, MIB).await.unwrap(),
        noise(1, 20_000)
    );
}
