//! The engine itself, on the built-in model.

use std::time::Duration;

use limekiln_broker::Update;
use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions, Source};
use limekiln_diffusion::device::{DeviceChoice, DtypeChoice};
use limekiln_diffusion::model::Model;
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::{ArtifactKind, EditId, FailureClass, Live, StateName};
use limekiln_store::Submission;
use limekiln_worker::{BoxError, Editor, Factory, LimeEditor, LimeModel, Settings, Signal};
use serde_json::json;

use crate::running::{Running, settings};

fn lime() -> Factory {
    Box::new(|| -> Result<Box<dyn Editor>, BoxError> {
        let source = Source::Embedded(limekiln_rooms::checkpoint_files());
        let checkpoint = Checkpoint::open(&source, &OpenOptions::default())?;
        let device = DeviceChoice::Cpu.open()?;
        let model = Model::load(checkpoint, &device, DtypeChoice::F32.dtype())?;
        let model = LimeModel {
            name: TestContext::model(),
            model,
            side_px: limekiln_rooms::SIDE,
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
fn patient(context: &TestContext) -> Settings {
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
    let options = json!({"edit": {"steps": 6}, "locate": {"steps": 6}});
    edit.spec.options = options.as_object().unwrap().clone();
    edit
}

async fn files(context: &TestContext, edit: EditId) -> Vec<(ArtifactKind, Vec<u8>)> {
    let mut files = Vec::new();
    for kind in ArtifactKind::ALL {
        // Its timings differ.
        if kind == ArtifactKind::Report {
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

    // Killed while it locates, given back while it edits.
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
    seen.preview_every = Duration::ZERO;
    let worker = Running::start(&context, seen, lime()).await;

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
    assert_eq!(view.artifacts.len(), ArtifactKind::ALL.len());

    let cut = room()[..200].to_vec();
    let mut long = short(&context, room()).await;
    long.spec.instruction = "make the sofa red and ".repeat(30);
    let mut unknown = short(&context, room()).await;
    unknown.spec.options = json!({"edit": {"stepz": 3}}).as_object().unwrap().clone();
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
