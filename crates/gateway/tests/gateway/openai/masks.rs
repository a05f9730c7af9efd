//! Where an edit may act: the client's mask, or what is transparent in the picture.

use image::{DynamicImage, ImageFormat, Rgb, Rgba, RgbaImage};
use limekiln_fixture::PATIENCE;

use super::{IMAGE, PROMPT, claimed, post};
use crate::support::worker::ManualWorker;
use crate::support::{Gateway, http, pictures};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transparency_of_a_picture_is_its_mask_where_none_is_given() {
    let gateway = Gateway::start().await;
    let mut manual = ManualWorker::new(&gateway).await;
    let hole = RgbaImage::from_fn(64, 48, |x, y| {
        let Rgb([r, g, b]) = *pictures::drawn().get_pixel(x, y);
        Rgba([r, g, b, if x < 32 { 0 } else { 255 }])
    });
    let hole = pictures::written(&hole.into(), ImageFormat::Png);
    let opaque = pictures::written(
        &DynamicImage::from(pictures::drawn()).to_rgba8().into(),
        ImageFormat::Png,
    );
    for (picture, mask, at) in [
        (&hole, None, Some((10, 50))),
        (&hole, Some(pictures::mask(true)), Some((30, 2))),
        (&opaque, None, None),
    ] {
        let mut parts: Vec<(&str, &[u8])> = vec![(IMAGE, picture), PROMPT];
        parts.extend(
            mask.as_ref()
                .map(|mask| (r#"name="mask"; filename="m.png""#, &mask[..])),
        );
        let request = post(&gateway, &parts);
        let address = gateway.address;
        let reply = tokio::spawn(async move { http::send(address, request).await });
        let (edit, found, picture) = claimed(&gateway, &mut manual).await;
        match (found, at) {
            (Some(found), Some((white, black))) => {
                let value = |x| found.get_pixel(x, 30).0[0];
                assert_eq!((value(white), value(black)), (255, 0));
            }
            (found, at) => assert_eq!(found.is_some(), at.is_some()),
        }
        if mask.is_none() && at.is_some() {
            assert!(
                !picture.color().has_alpha(),
                "what is edited would be hidden"
            );
            assert_eq!(picture.to_rgb8(), pictures::drawn());
        }
        manual.complete(&edit).await;
        assert_eq!(reply.await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn white_is_where_the_mask_was_transparent() {
    let gateway = Gateway::start().await;
    let mut manual = ManualWorker::new(&gateway).await;
    let request = post(
        &gateway,
        &[
            (IMAGE, &pictures::room()),
            (r#"name="prompt""#, b"make the sofa red"),
            (r#"name="mask"; filename="mask.png""#, &pictures::mask(true)),
        ],
    );
    let address = gateway.address;
    let reply = tokio::spawn(async move { http::send(address, request).await });
    let claimed =
        limekiln_testbed::until_some("an edit", PATIENCE, async || manual.claim().await.pop())
            .await;
    let mask = claimed.mask.clone().unwrap();
    let bytes = gateway
        .context
        .blobs
        .get(&mask.key.parse().unwrap(), Some(&mask.digest), 1 << 20)
        .await
        .unwrap();
    let ours = image::load_from_memory(&bytes).unwrap().to_luma8();
    assert_eq!(
        (ours.get_pixel(30, 30).0, ours.get_pixel(2, 2).0),
        ([255], [0])
    );
    manual.complete(&claimed).await;
    assert_eq!(reply.await.unwrap().status, 200);
}
