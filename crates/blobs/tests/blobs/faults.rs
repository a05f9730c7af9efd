//! A network that cuts, refuses and swallows.

use std::time::{Duration, Instant};

use limekiln_blobs::{Blobs, Error, Timeouts};
use limekiln_jobs::{Digest, ErrorKind, Retryable};
use limekiln_testbed::{Proxy, until};

use crate::context::{TestContext, noise};

async fn through(context: &TestContext, timeouts: Timeouts) -> (Proxy, Blobs) {
    let proxy = Proxy::start(
        context
            .settings()
            .endpoint
            .as_ref()
            .unwrap()
            .port()
            .unwrap(),
    );
    let blobs = context
        .with(|settings| {
            let endpoint = settings.endpoint.as_ref().unwrap();
            settings.endpoint = Some(proxy.before(endpoint.as_str()).parse().unwrap());
            settings.timeouts = timeouts;
        })
        .await;
    (proxy, blobs)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_is_asked_for_again() {
    let context = TestContext::s3().await;
    let (proxy, blobs) = through(&context, Timeouts::default()).await;
    let body = noise(1, 4 << 20);
    let digest = Digest::of(&body);
    let key = context.key("cut");

    proxy.slow(16 << 20, Duration::ZERO);
    let put = tokio::spawn({
        let (blobs, key, body) = (blobs.clone(), key.clone(), body.clone());
        async move { blobs.put(&key, body, "image/png").await }
    });
    until("the put to connect", Duration::from_secs(10), async || {
        proxy.accepted() > 0
    })
    .await;
    proxy.cut();
    put.await.unwrap().unwrap();
    assert_eq!(
        context
            .blobs
            .get(&key, Some(&digest), 8 << 20)
            .await
            .unwrap(),
        body
    );

    // The body is on its way: what is cut here, the SDK itself does not ask for again.
    let mut download = blobs.download(&key).await.unwrap();
    download.next().await.unwrap().unwrap();
    proxy.cut();
    let error = loop {
        match download.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a download that was cut ended as if whole"),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");

    let before = proxy.accepted();
    let get = tokio::spawn({
        let (blobs, key) = (blobs.clone(), key.clone());
        async move { blobs.get(&key, Some(&digest), 8 << 20).await }
    });
    until("the get to connect", Duration::from_secs(10), async || {
        proxy.accepted() > before
    })
    .await;
    proxy.cut();
    assert_eq!(get.await.unwrap().unwrap(), body);

    // A download of weights goes on from where it broke, however often.
    let mut download = blobs.download_steadily(&key);
    let mut came = Vec::new();
    let connections = proxy.accepted();
    for _ in 0..3 {
        came.extend(download.next().await.unwrap().unwrap());
        proxy.cut();
    }
    while let Some(piece) = download.next().await.unwrap() {
        came.extend(piece);
    }
    assert!(came == body, "{} bytes", came.len());
    assert!(proxy.accepted() > connections);
    let missing = context.key("missing");
    let error = blobs.download_steadily(&missing).next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    // What was put in its place is not joined to what came before.
    let mut download = blobs.download_steadily(&key);
    download.next().await.unwrap();
    context
        .blobs
        .put(&key, noise(2, 5 << 20), "image/png")
        .await
        .unwrap();
    proxy.cut();
    let error = loop {
        match download.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("two halves of two blobs"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("replaced"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_transient_and_soon_said() {
    let context = TestContext::s3().await;
    let (proxy, blobs) = through(&context, Timeouts::default()).await;
    let key = context.key("down");
    blobs.put(&key, noise(1, 10), "image/png").await.unwrap();
    proxy.refuse();
    let began = Instant::now();
    assert!(blobs.get(&key, None, 99).await.unwrap_err().is_transient());
    // What was sent before the sender gave up may still arrive: a name of its own, as every upload of ours has.
    assert!(
        blobs
            .put(&context.key("late"), noise(2, 10), "image/png")
            .await
            .unwrap_err()
            .is_transient()
    );
    assert!(
        blobs
            .put(&key, noise(2, 9 << 20), "image/png")
            .await
            .unwrap_err()
            .is_transient()
    );
    assert!(
        blobs
            .delete(std::slice::from_ref(&key))
            .await
            .unwrap_err()
            .is_transient()
    );
    assert!(blobs.bucket_ensure().await.unwrap_err().is_transient());
    assert!(!blobs.check().await.is_ok());
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    proxy.resume();
    assert_eq!(blobs.get(&key, None, 99).await.unwrap(), noise(1, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_in_time() {
    let context = TestContext::s3().await;
    let timeouts = Timeouts {
        connect: Duration::from_millis(200),
        attempt: Duration::from_millis(300),
        operation: Duration::from_millis(800),
    };
    let (proxy, blobs) = through(&context, timeouts).await;
    let key = context.key("silent");
    // More than all the buffers on the way hold.
    context
        .blobs
        .put(&key, noise(1, 48 << 20), "image/png")
        .await
        .unwrap();
    let mut download = blobs.download(&key).await.unwrap();
    proxy.blackhole();
    let began = Instant::now();
    let error = blobs.get(&key, None, 64 << 20).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    // What was sent before the sender gave up may still arrive: a name of its own, as every upload of ours has.
    assert!(
        blobs
            .put(&context.key("late"), noise(2, 10), "image/png")
            .await
            .unwrap_err()
            .is_transient()
    );
    // In the middle of a body as well.
    let error = loop {
        match download.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a download without an end ended"),
        }
    };
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    proxy.resume();
    assert_eq!(
        context.blobs.get(&key, None, 64 << 20).await.unwrap().len(),
        48 << 20
    );
}
