//! Regions that users name: segments, points, and the regions of earlier edits.

use limekiln_jobs::{EditId, ImageId};
use limekiln_pictures::{Limits, mask_decode};
use serde_json::{Value, json};

use crate::support::Gateway;
use crate::support::http::Reply;
use crate::support::worker::ManualWorker;

async fn edit(gateway: &Gateway, image: ImageId, region: Value) -> Reply {
    let body = json!({"image": image, "instruction": "make it red", "region": region});
    gateway.post("/v1/edits", &body).await
}

/// Asks for the segments of a picture, and makes them.
async fn segment(
    gateway: &Gateway,
    worker: &mut ManualWorker,
    path: &str,
    numbers: &[u16],
) -> Value {
    let asked = gateway.post(path, &json!({})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let claimed = worker.claim().await;
    let made = claimed.iter().find(|edit| edit.spec.segments).unwrap();
    worker.segmented(made, 2, numbers.to_vec()).await;
    asked.json()["id"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_is_the_mask_that_a_worker_gets() {
    let gateway = Gateway::start().await;
    let mut worker = ManualWorker::new(&gateway).await;
    let image = gateway.image().await;
    let path = format!("/v1/images/{image}/segmentation");
    let none = gateway.get(&path).await;
    assert_eq!(
        (none.status, &*none.code()),
        (404, "segmentation_not_found")
    );
    let early = edit(&gateway, image, json!({"points": [[1, 1]]})).await;
    assert_eq!(
        (early.status, &*early.code()),
        (404, "segmentation_not_found")
    );
    let id = segment(&gateway, &mut worker, &path, &[1, 2, 3, 4]).await;
    let shown = gateway.get(&path).await.json();
    assert_eq!((&shown["id"], &shown["grid"]), (&id, &json!(2)));
    let labels = gateway.get(shown["labels"].as_str().unwrap()).await;
    assert_eq!(labels.status, 200);

    for (region, corners) in [
        (
            json!({"segmentation": id, "segments": [1, 4]}),
            [true, false, false, true],
        ),
        (json!({"points": [[63, 0]]}), [false, true, false, false]),
        (
            json!({"points": [[0, 0], [0, 47]], "add": [{"points": [[40, 40]]}], "subtract": [{"segmentation": id, "segments": [3]}]}),
            [true, false, false, true],
        ),
    ] {
        let accepted = edit(&gateway, image, region.clone()).await;
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        let claimed = worker.claim().await;
        let mask = claimed[0].mask.clone().unwrap();
        assert!(claimed[0].spec.matte, "it is taken roughly");
        // Shown as it was said, so that it can be said again.
        let shown = accepted.json()["links"]["self"].clone();
        let shown = gateway.get(shown.as_str().unwrap()).await.json();
        assert_eq!(shown["region"], region);
        let mask = gateway.context.blob(&mask.key).await;
        let mask = mask_decode(&mask, (64, 48), &Limits::ACCEPTED).unwrap();
        let at = [(0, 0), (63, 0), (0, 47), (63, 47)].map(|(x, y)| mask.get_pixel(x, y).0[0] > 127);
        assert_eq!(at, corners, "{region}");
        worker.complete(&claimed[0]).await;
    }

    // The same segments again are the same segmentation; others are not.
    let again = segment(&gateway, &mut worker, &path, &[1, 2, 3, 4]).await;
    let old = json!({"segmentation": id, "segments": [1]});
    assert_eq!(edit(&gateway, image, old.clone()).await.status, 202);
    let newest = segment(&gateway, &mut worker, &path, &[1, 1, 2, 2]).await;
    for old in [&id, &again] {
        let outdated = edit(
            &gateway,
            image,
            json!({"segmentation": old, "segments": [1]}),
        )
        .await;
        assert_eq!(
            (outdated.status, &*outdated.code()),
            (409, "segmentation_outdated")
        );
        assert!(outdated.text().contains(newest.as_str().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_no_region_is_refused_and_changes_nothing() {
    let gateway = Gateway::start().await;
    let mut worker = ManualWorker::new(&gateway).await;
    let image = gateway.image().await;
    let path = format!("/v1/images/{image}/segmentation");
    let id = segment(&gateway, &mut worker, &path, &[1, 2, 3, 4]).await;
    let other = gateway.edit().await;
    let stored = gateway.stored().await;
    let stranger = EditId::new();
    for (region, status, says) in [
        (
            json!({"points": [[64, 0]]}),
            422,
            "lies outside of the picture: it is 64x48",
        ),
        (
            json!({"segmentation": id, "segments": [5]}),
            422,
            "numbered 1 to 4",
        ),
        (
            json!({"segmentation": id, "segments": [0]}),
            422,
            "numbered 1 to 4",
        ),
        (
            json!({"segmentation": stranger, "segments": [1]}),
            404,
            "there is no segmentation",
        ),
        (
            json!({"segmentation": other, "segments": [1]}),
            404,
            "there is no segmentation",
        ),
        (json!({"edit": stranger}), 404, "edit_not_found"),
        (json!({"edit": id}), 404, "artifact_not_found"),
        (
            json!({"points": [[1, 1]], "subtract": [{"points": [[2, 2]]}]}),
            422,
            "nothing in it",
        ),
        (json!({"points": []}), 422, "must name 1 to"),
        (json!({}), 422, "exactly one"),
    ] {
        let refused = edit(&gateway, image, region.clone()).await;
        assert_eq!(refused.status, status, "{region}: {}", refused.text());
        assert!(
            refused.text().contains(says),
            "{region}: {}",
            refused.text()
        );
    }
    let both =
        json!({"image": image, "instruction": "a", "mask": image, "region": {"points": [[1, 1]]}});
    assert_eq!(gateway.post("/v1/edits", &both).await.status, 422);
    let missing = ImageId::new();
    for path in [
        format!("/v1/images/{missing}/segmentation"),
        format!("/v1/edits/{stranger}/segmentation"),
    ] {
        assert_eq!(gateway.get(&path).await.status, 404);
        assert_eq!(gateway.post(&path, &json!({})).await.status, 404);
    }
    assert_eq!(gateway.stored().await, stored);
}
