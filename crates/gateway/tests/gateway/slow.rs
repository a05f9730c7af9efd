//! Clients that hold a connection and do nothing with it.

use std::time::Duration;

use image::{Rgb, RgbImage};

use crate::support::http;
use crate::support::{Gateway, pictures};

/// 12 MB that no socket's buffers hold: pixels of a small generator, which PNG can't shrink.
pub(crate) fn large() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    let noise = RgbImage::from_fn(2000, 2000, |_, _| Rgb([next(), next(), next()]));
    pictures::written(&noise.into(), image::ImageFormat::Png)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_reading_is_cut_off() {
    let gateway = Gateway::with(|settings| {
        settings.timeouts.write = Duration::from_millis(300);
        settings.limits.connections = 1;
    })
    .await;
    let upload = gateway
        .request("POST", "/v1/images")
        .body("image/png", large());
    let image = gateway.send(upload).await.json();
    let content = image["links"]["content"].as_str().unwrap();
    let (head, stalled) = http::open(gateway.address, gateway.request("GET", content)).await;
    assert_eq!(head.status, 200);
    // The one connection there may be is held; this waits until it is cut.
    assert_eq!(gateway.get("/v1/me").await.status, 200);
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_downloads_of_one_tenant_leave_room_for_others() {
    let gateway = Gateway::with(|settings| settings.limits.connections = 8).await;
    let upload = |key: &str| {
        let request = http::Request::new("POST", "/v1/images").key(key);
        request.body("image/png", large())
    };
    let content = async |key: &str| {
        let image = gateway.send(upload(key)).await.json();
        let path = image["links"]["content"].as_str().unwrap().to_owned();
        http::Request::new("GET", &path).key(key)
    };
    let (ours, theirs) = (content(&gateway.key).await, content(&gateway.other).await);
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let (head, download) = http::open(gateway.address, ours.clone()).await;
        assert_eq!(head.status, 200);
        stalled.push(download);
    }
    let (head, _) = http::open(gateway.address, ours).await;
    assert_eq!(
        (head.status, head.header("ratelimit-limit")),
        (429, Some("2"))
    );
    assert_eq!(http::open(gateway.address, theirs).await.0.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_nothing_is_cut_off() {
    let gateway = Gateway::with(|settings| {
        settings.timeouts.header = Duration::from_millis(300);
        settings.limits.connections = 1;
    })
    .await;
    for sent in [
        &b""[..],
        b"GET /v1/me HT",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut idle = http::Open::connect(gateway.address).await;
        idle.write(sent, false).await;
        assert_eq!(gateway.get("/v1/me").await.status, 200);
    }
}
