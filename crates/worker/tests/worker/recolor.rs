//! Edits that recolor, on the built-in model.

use image::{GrayImage, Luma, RgbImage};
use limekiln_fixture::TestContext;
use limekiln_jobs::{ArtifactKind, FailureClass, StateName};
use limekiln_store::Submission;
use limekiln_worker::{Signal, resolve};
use serde_json::json;

use crate::lime::{lime, patient};
use crate::running::Running;

/// A room of 256 pixels a side, its object, and what is asked for.
fn room() -> (RgbImage, GrayImage, String) {
    let room = limekiln_rooms::bench_room(limekiln_rooms::Style::Plain, 0, 0);
    let drawn = room.draw(256);
    (
        drawn.before.srgb(),
        drawn.mask(),
        room.pair.instruction.text.clone(),
    )
}

fn png(picture: impl Into<image::DynamicImage>) -> Vec<u8> {
    limekiln_pictures::encode::png(&picture.into()).unwrap()
}

/// A submission as a gateway accepts it.
async fn asked(context: &TestContext, preset: &str, picture: Vec<u8>, words: &str) -> Submission {
    let mut edit = context.instruction(words);
    edit.image = Some(context.image_create(context.tenant, picture).await);
    edit.spec.preset = preset.to_owned();
    edit
}

fn accepted(mut edit: Submission) -> Submission {
    let resolved = resolve(&edit.spec).unwrap();
    edit.spec.resolved = Some(resolved.preset);
    edit.needs = resolved.needs;
    edit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recolors_succeed_with_their_object_and_fail_without() {
    let context = TestContext::new().await;
    let worker = Running::start(&context, patient(&context), lime()).await;
    let (picture, object, words) = room();

    let located = accepted(asked(&context, "recolor", png(picture.clone()), &words).await);
    let mut masked = asked(&context, "recolor", png(picture.clone()), "recolor it").await;
    masked.mask = Some(context.image_create(context.tenant, png(object)).await);
    masked.spec.color = Some("#1F6F8B".to_owned());
    masked.spec.matte = true;
    let masked = accepted(masked);
    for (edit, calls) in [(located, 1), (masked, 0)] {
        let edit = context.enqueue(&[edit]).await[0];
        let view = context.reaches(edit, StateName::Succeeded).await;
        let report = view.report.unwrap();
        assert_eq!(
            (&report["finish"], &report["output_size"]),
            (&json!("recolor"), &json!([256, 256]))
        );
        assert_eq!(report["steps"], json!({"locate": calls, "edit": 0}));
        assert_eq!(report["composite"]["changed_outside_px"], 0);
        assert!(report["recolor"]["sure"].as_f64().unwrap() > 0.0);
        assert!(
            !report["recolor"]["materials"]
                .as_array()
                .unwrap()
                .is_empty()
        );
        let kinds = view.artifacts.iter().map(|artifact| artifact.kind);
        assert!(kinds.into_iter().any(|kind| kind == ArtifactKind::Matte));
        // No network ran where a mask says where.
        assert_eq!(report.get("model").is_some(), calls > 0);
    }

    // One pixel of a wall singles out no object, and a material that there is not can't be recolored.
    let mut dot = GrayImage::new(256, 256);
    dot.put_pixel(5, 5, Luma([255]));
    let dot = context.image_create(context.tenant, png(dot)).await;
    let mut missing = asked(&context, "recolor", png(picture.clone()), &words).await;
    missing.spec.material = Some("40".to_owned());
    let mut nothing = asked(&context, "recolor", png(picture), "make the sofa teal").await;
    nothing.mask = Some(dot);
    nothing.spec.matte = true;
    for (edit, code) in [
        (nothing, "object_not_found"),
        (missing, "material_not_found"),
    ] {
        let edit = context.enqueue(&[accepted(edit)]).await[0];
        let view = context.reaches(edit, StateName::Failed).await;
        let failure = view.error.unwrap();
        assert_eq!(
            (failure.class, failure.code.as_str(), view.attempts),
            (FailureClass::User, code, 0)
        );
    }
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_waits_for_workers_that_know_it() {
    let context = TestContext::new().await;
    let mut old = patient(&context);
    old.can = old.can.iter().filter(|need| *need != "color").collect();
    let mut worker = Running::start(&context, old, lime()).await;
    let (picture, _, words) = room();
    let mut edit = asked(&context, "recolor", png(picture), &words).await;
    edit.spec.color = Some("teal".to_owned());
    assert!(edit.spec.needs().iter().any(|need| need == "color"));
    // As a worker finds it whose gateway forgot the need.
    let edit = context.submit(accepted(edit)).await;
    context
        .sql(&format!(
            "update edits set needs = '{{}}' where id = '{edit}'"
        ))
        .await;
    let dispatcher = context.dispatcher();
    worker
        .wait(
            "it to be passed on",
            |signal| matches!(signal, Signal::PassedOn(passed, _) if *passed == edit),
        )
        .await;
    drop(dispatcher);
    worker.stop().await.0.unwrap();
}
