//! What requests may hold in memory, all together.

use std::time::Duration;

use image::{DynamicImage, ImageFormat};
use limekiln_fixture::PATIENCE;

use crate::bad_input::form;
use crate::slow::large;
use crate::support::http::{self, Request};
use crate::support::worker::ManualWorker;
use crate::support::{Gateway, pictures};

async fn with_memory(mib: usize) -> Gateway {
    Gateway::with(|settings| {
        settings.limits.upload_memory_bytes = mib << 20;
        settings.timeouts.memory = Duration::from_millis(100);
    })
    .await
}

fn upload(gateway: &Gateway, media_type: &str, body: Vec<u8>) -> Request {
    gateway.request("POST", "/v1/images").body(media_type, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_png_is_checked_row_by_row_and_another_picture_only_where_it_fits() {
    let gateway = with_memory(8).await;
    // 64 MB of pixels in a file of less than 0.1.
    let deep = pictures::written(&DynamicImage::new_rgba16(4000, 2000), ImageFormat::Png);
    let reply = gateway.send(upload(&gateway, "image/png", deep)).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(
        (
            reply.json()["width"].as_u64(),
            reply.json()["height"].as_u64()
        ),
        (Some(4000), Some(2000))
    );

    // Eight bytes a pixel, without loss.
    let whole = pictures::written(&DynamicImage::new_rgba8(1100, 1100), ImageFormat::WebP);
    let reply = gateway.send(upload(&gateway, "image/webp", whole)).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (422, "image_pixels_limit")
    );
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("10 MiB") && detail.contains("8 MiB"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_now_waits_and_is_told_to_come_back() {
    let gateway = with_memory(16).await;
    let picture = || pictures::written(&DynamicImage::new_rgba8(1000, 1000), ImageFormat::WebP);
    let send = async || {
        gateway
            .send(upload(&gateway, "image/webp", picture()))
            .await
    };
    let mut slow = http::Open::connect(gateway.address).await;
    let stalled = upload(&gateway, "image/png", vec![0; 8 << 20]).length(9 << 20);
    slow.write(&stalled.bytes(), false).await;
    limekiln_testbed::until("no room", PATIENCE, async || {
        let reply = send().await;
        reply.status == 503
            && reply.code() == "overloaded"
            && reply.header("retry-after") == Some("1")
    })
    .await;
    drop(slow);
    limekiln_testbed::until("room again", PATIENCE, async || send().await.status == 201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_holds_its_memory_until_it_is_sent() {
    let picture = large();
    // Making an answer of it takes 31 MiB, sending it 16.
    let gateway = with_memory(40).await;
    let mut manual = ManualWorker::new(&gateway).await;
    manual.result = picture;
    let request = || {
        let room = pictures::room();
        let parts: [(&str, &[u8]); 2] = [
            (r#"name="image"; filename="room.png""#, &room),
            (r#"name="prompt""#, b"make the sofa red"),
        ];
        gateway
            .request("POST", "/v1/images/edits")
            .body("multipart/form-data; boundary=cut", form(&parts))
            .header("idempotency-key", "k")
    };
    let opening = tokio::spawn(http::open(gateway.address, request()));
    let claimed =
        limekiln_testbed::until_some("an edit", PATIENCE, async || manual.claim().await.pop())
            .await;
    manual.complete(&claimed).await;
    let (head, mut unread) = opening.await.unwrap();
    assert_eq!(head.status, 200);

    // It is the tenant's share, and others have room.
    let other = gateway.send(request()).await;
    assert_eq!(
        (other.status, other.header("retry-after")),
        (429, Some("1"))
    );
    let whole = pictures::written(&DynamicImage::new_rgba8(1000, 1000), ImageFormat::WebP);
    let theirs = Request::new("POST", "/v1/images").key(&gateway.other);
    let theirs = gateway.send(theirs.body("image/webp", whole)).await;
    assert_eq!(theirs.status, 201, "{}", theirs.text());
    let first = unread.rest(&head).await;
    assert!(first.len() > 16_000_000);
    limekiln_testbed::until("room again", PATIENCE, async || {
        let again = gateway.send(request()).await;
        again.status == 200
            && again.json()["data"][0]["b64_json"].as_str().map(str::len) > Some(16_000_000)
    })
    .await;
}
