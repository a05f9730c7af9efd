//! The engine itself, on the built-in model.

use std::time::Duration;

use limekiln_broker::Update;
use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions, Source};
use limekiln_diffusion::device::{DeviceChoice, DtypeChoice};
use limekiln_diffusion::model::Model;
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::{ArtifactKind, EditId, Epoch, FailureClass, Finish, Live, Needs, StateName};
use limekiln_store::Submission;
use limekiln_worker::{BoxError, Editor, Factory, LimeEditor, LimeModel, Settings, Signal};
use serde_json::{Value, json};

use crate::running::{Running, settings};

/// How many artifacts an edit has that is of no session, is laid over nothing, and was not asked for its segments alone.
const MADE: usize = 5;

pub(crate) fn lime() -> Factory {
    lime_at(limekiln_rooms::SIDE)
}

/// The built-in model, at another size of its own.
pub(crate) fn lime_at(side_px: u32) -> Factory {
    Box::new(move || -> Result<Box<dyn Editor>, BoxError> {
        let source = Source::Embedded(limekiln_rooms::checkpoint_files());
        let checkpoint = Checkpoint::open(&source, &OpenOptions::default())?;
        let device = DeviceChoice::Cpu.open()?;
        let mut model = Model::load(checkpoint, &device, DtypeChoice::F32.dtype(&device))?;
        model.window_least = Some(limekiln_rooms::WINDOW_LEAST);
        let model = LimeModel {
            name: TestContext::model(),
            model,
            side_px,
            drawings_only: true,
        };
        Ok(Box::new(LimeEditor::new(vec![model])?))
    })
}

/// A drawn room.
fn room() -> Vec<u8> {
    let scene = limekiln_rooms::bench_pair(0, 0).before;
    let pixels = limekiln_rooms::draw(&scene, limekiln_rooms::SIDE);
    limekiln_pictures::encode::png(&pixels.into()).unwrap()
}

/// Settings for a machine that has other things to do as well.
pub(crate) fn patient(context: &TestContext) -> Settings {
    Settings {
        lease_ttl: Duration::from_secs(20),
        shutdown_grace: Duration::from_secs(20),
        ..settings(context)
    }
}

/// The default preset with few steps.
async fn short(context: &TestContext, picture: Vec<u8>) -> Submission {
    let mut edit = context.instruction("make the sofa red");
    edit.image = Some(context.image_create(context.tenant, picture).await);
    asks(&mut edit, &json!({"edit": {"steps": 6}}));
    edit
}

/// Replaces fields of an edit's preset, as a gateway does.
fn asks(edit: &mut Submission, options: &Value) {
    edit.spec.options = options.as_object().unwrap().clone();
    let resolved = limekiln_worker::resolve(&edit.spec).unwrap();
    edit.spec.resolved = Some(resolved.preset);
    edit.needs = resolved.needs;
}

async fn files(context: &TestContext, edit: EditId) -> Vec<(ArtifactKind, Vec<u8>)> {
    let mut files = Vec::new();
    for kind in ArtifactKind::ALL {
        // Its timings differ; nothing is laid over the input; of a session, or asked for its segments, it is not; and an overlay
        // is painted when somebody asks for it.
        if matches!(
            kind,
            ArtifactKind::Report
                | ArtifactKind::Matte
                | ArtifactKind::Overlay
                | ArtifactKind::Patch
                | ArtifactKind::Labels
                | ArtifactKind::Parts
        ) {
            continue;
        }
        let artifact = context.store.artifact_get(context.tenant, edit, kind);
        let artifact = artifact.await.unwrap().unwrap();
        files.push((kind, context.blob(&artifact.key).await));
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_was_killed_and_one_that_was_given_back_end_with_the_same_bytes() {
    let context = TestContext::new().await;
    let whole = short(&context, room()).await;
    let mut often = patient(&context);
    often.checkpoint_every = Duration::ZERO;

    let mut worker = Running::start(&context, often.clone(), lime()).await;
    let undisturbed = context.enqueue(std::slice::from_ref(&whole)).await[0];
    context.reaches(undisturbed, StateName::Succeeded).await;
    let expected = files(&context, undisturbed).await;

    // Killed once it has located, given back while it edits.
    let disturbed = Submission {
        id: EditId::new(),
        ..whole
    };
    let disturbed = context.enqueue(&[disturbed]).await[0];
    let kept = |at: u32| move |signal: &Signal| matches!(signal, Signal::Checkpointed(edit, _, step) if *edit == disturbed && *step >= at);
    worker.wait("a checkpoint", kept(1)).await;
    worker.kill().await;
    context.lease_take(disturbed).await;
    let dispatcher = context.dispatcher();
    for at in [5, 0] {
        let mut worker = Running::start(&context, often.clone(), lime()).await;
        let started = worker
            .wait("the start", |signal| matches!(signal, Signal::Started(..)))
            .await;
        let Signal::Started(_, _, from) = started else {
            unreachable!()
        };
        assert!(from >= 1, "{started:?}");
        if at > 0 {
            worker.wait("a checkpoint", kept(at)).await;
        } else {
            context.reaches(disturbed, StateName::Succeeded).await;
        }
        worker.stop().await.0.unwrap();
    }
    drop(dispatcher);
    let view = context.view(disturbed).await;
    assert_eq!((view.state, view.attempts), (StateName::Succeeded, 0));
    assert!(
        files(&context, disturbed).await == expected,
        "the bytes differ"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn previews_are_small_pictures_and_bad_edits_are_the_users() {
    let context = TestContext::new().await;
    let mut seen = patient(&context);
    // The first comes as soon as there is something to see.
    seen.preview_every = Duration::from_secs(3600);
    let mut worker = Running::start(&context, seen, lime()).await;

    let edit = short(&context, room()).await;
    let mut subscription = context.broker.subscribe(edit.id).await;
    let edit = context.enqueue(&[edit]).await[0];
    let jpeg = loop {
        let told = tokio::time::timeout(PATIENCE, subscription.next())
            .await
            .unwrap();
        let Some(Update::Live(told)) = told else {
            panic!("{told:?}")
        };
        if let Live::Preview { jpeg, .. } = &*told {
            break jpeg.clone();
        }
    };
    use base64::Engine as _;
    let jpeg = base64::prelude::BASE64_STANDARD.decode(jpeg).unwrap();
    assert!(jpeg.len() <= 4096, "{}", jpeg.len());
    let preview = limekiln_pictures::decode(&jpeg, &limekiln_pictures::Limits::UPLOAD).unwrap();
    assert!(preview.rgb.width() > 8);
    let view = context.reaches(edit, StateName::Succeeded).await;
    let report = view.report.unwrap();
    assert_eq!(report["output_size"], json!([128, 128]));
    assert_eq!(view.artifacts.len(), MADE);

    // A photograph, of which the model knows nothing, and a region.
    let photo = image::RgbImage::from_fn(300, 200, |x, y| {
        image::Rgb([(x * 37 + y * 91) as u8, (x * y) as u8, (x ^ y) as u8])
    });
    let photo = limekiln_pictures::encode::png(&photo.into()).unwrap();
    let mut pasted = short(&context, photo).await;
    pasted.spec = pasted.spec.finished(Finish::Paste, false);
    let pasted = context.enqueue(&[pasted]).await[0];
    let view = context.reaches(pasted, StateName::Succeeded).await;
    let report = view.report.unwrap();
    assert_eq!(report["finish"], "paste");
    assert_eq!(report["output_size"], json!([300, 200]));
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("knows drawn rooms only"), "{warnings}");

    // A preset of a newer gateway: nobody here knows what the field does, so nobody runs it.
    let mut newer = short(&context, room()).await;
    let resolved = json!({"from": "fast", "with": {"edit": {"sharpen": 0.5}}});
    newer.spec.resolved = resolved.as_object().cloned();
    newer.needs = Needs::default();
    let newer = context.enqueue(&[newer]).await[0];
    let passed = Signal::PassedOn(newer, Epoch::new(1));
    worker
        .wait("the newer edit to be passed on", |signal| *signal == passed)
        .await;
    let view = context.view(newer).await;
    assert_eq!((view.state, view.attempts), (StateName::Queued, 0));
    context
        .store
        .edit_cancel(context.tenant, newer)
        .await
        .unwrap();

    let cut = room()[..200].to_vec();
    let mut long = short(&context, room()).await;
    long.spec.instruction = "make the sofa red and ".repeat(30);
    let mut unknown = short(&context, room()).await;
    unknown.spec.options = json!({"edit": {"stepz": 3}}).as_object().unwrap().clone();
    unknown.spec.resolved = None;
    let wrong = [
        (short(&context, cut).await, "image_damaged"),
        (
            short(&context, b"no picture".to_vec()).await,
            "image_unsupported",
        ),
        (long, "instruction_too_long"),
        (unknown, "preset_invalid"),
    ];
    for (edit, code) in wrong {
        let edit = context.enqueue(&[edit]).await[0];
        let view = context.reaches(edit, StateName::Failed).await;
        let failure = view.error.unwrap();
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (FailureClass::User, code)
        );
        assert_eq!(view.attempts, 0);
    }
    worker.stop().await.0.unwrap();
}

/// A checkpoint of `kept` that this program wrote in its first version with needs: after two steps of the second stage.
const KEPT: &[u8] = include_bytes!("../data/checkpoint.safetensors");
const KEPT_STEP: u32 = 5;

/// The edit that was saved, as its gateway stored it: by the numbers that `fast` had then.
async fn kept(context: &TestContext) -> Submission {
    let mut edit = short(context, room()).await;
    let options = json!({
        "edit": {"steps": 6},
        "locate": {"steps": 6, "grid": 16, "select": {"points": 8}, "segments": {"clusters": 4}},
    });
    edit.spec.options = options.as_object().unwrap().clone();
    let resolved = json!({"from": "fast", "with": options});
    edit.spec.resolved = resolved.as_object().cloned();
    edit.needs = Needs::default();
    edit
}

#[tokio::test]
#[ignore = "writes the file that the next test reads"]
async fn checkpoint_write() {
    let context = TestContext::new().await;
    let mut often = patient(&context);
    often.checkpoint_every = Duration::ZERO;
    let mut worker = Running::start(&context, often, lime()).await;
    let edit = context.enqueue(&[kept(&context).await]).await[0];
    let kept = Signal::Checkpointed(edit, Epoch::new(1), KEPT_STEP);
    worker
        .wait("the checkpoint", |signal| *signal == kept)
        .await;
    let key = limekiln_blobs::Key::checkpoint(context.tenant, edit, Epoch::new(1), KEPT_STEP);
    let saved = context.blob(key.as_ref()).await;
    std::fs::write(
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/checkpoint.safetensors"
        ),
        saved,
    )
    .unwrap();
}

/// Workers of two versions share a fleet: what the other saved is resumed, or clearly not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_of_another_version_is_resumed_or_the_edit_starts_over() {
    let context = TestContext::new().await;
    let mut often = patient(&context);
    often.checkpoint_every = Duration::ZERO;
    let mut worker = Running::start(&context, often, lime()).await;
    // The format of tomorrow is this one with another number.
    let version = b"\\\"version\\\":1";
    let at = KEPT
        .windows(version.len())
        .position(|window| window == version)
        .unwrap();
    let mut tomorrow = KEPT.to_vec();
    tomorrow[at + version.len() - 1] = b'9';
    let old = kept(&context).await;
    // The same words, accepted by this version.
    let mut new = old.clone();
    asks(&mut new, &Value::Object(old.spec.options.clone()));
    for (edit, bytes, resumes) in [
        (&old, KEPT, true),
        (&new, KEPT, false),
        (&old, &tomorrow[..], false),
    ] {
        let edit = Submission {
            id: EditId::new(),
            ..edit.clone()
        };
        let edit = context.submit(edit).await;
        let key = crate::checkpoints::saved(&context, edit, KEPT_STEP, bytes).await;
        context
            .blobs
            .put(&key, bytes.to_vec().into(), "application/octet-stream")
            .await
            .unwrap();
        context.enqueue(&[]).await;
        let started = worker
            .wait(
                "the start",
                |signal| matches!(signal, Signal::Started(at, ..) if *at == edit),
            )
            .await;
        // Once the format has moved on, the first goes the way of the others.
        let from = if resumes { KEPT_STEP } else { 0 };
        assert_eq!(started, Signal::Started(edit, Epoch::new(1), from));
        if !resumes {
            let over = Signal::StartedOver(edit, Epoch::new(1));
            worker
                .wait("the start over", |signal| *signal == over)
                .await;
        }
        let view = context.reaches(edit, StateName::Succeeded).await;
        assert_eq!((view.attempts, view.artifacts.len()), (0, MADE));
    }
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_edit_that_is_taken_is_not_seen_as_a_hang() {
    let context = TestContext::new().await;
    let mut bounded = patient(&context);
    bounded.stall_after = Duration::from_secs(30);
    bounded.size_max = Some(128);
    bounded.rows_max = 36;
    bounded.distances_max = 64 * 64 * 8 * 2 * 11;
    let mut worker = Running::start(&context, bounded, lime_at(64)).await;
    let announced = context.store.worker_list().await.unwrap().remove(0).limits;
    let limits = announced[&TestContext::model()];
    assert_eq!(
        (limits.size, limits.size_max, limits.rows_max),
        (64, 128, 36)
    );

    // Twice the side is four times the rows.
    let asked = async |size: u32, steps: u32, rounds: u32| {
        let mut edit = short(&context, room()).await;
        let options = json!({
            "edit": {"steps": steps},
            "locate": {"grid": 64, "segments": {"clusters": 8, "starts": 2, "rounds": rounds}},
        });
        // Another worker may take it, so what is refused here would be tried again.
        edit.max_attempts = 1;
        edit.spec.size = Some(size);
        asks(&mut edit, &options);
        edit
    };
    let largest = asked(128, 1, 10).await;
    let beyond = [
        asked(129, 1, 10).await,
        asked(128, 2, 10).await,
        asked(64, 1, 11).await,
    ];
    let edits = context.enqueue(&[largest]).await;
    context.reaches(edits[0], StateName::Succeeded).await;
    for edit in context.enqueue(&beyond).await {
        let view = context.reaches(edit, StateName::Failed).await;
        let failure = view.error.unwrap();
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (FailureClass::Internal, "cost_limit"),
            "{failure}"
        );
    }
    worker.stalled_never();
    worker.stop().await.0.unwrap();
}
