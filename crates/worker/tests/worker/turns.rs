//! Turns of sessions, and segments, on the built-in model.

use limekiln_broker::Hint;
use limekiln_fixture::TestContext;
use limekiln_jobs::api::Parts;
use limekiln_jobs::{ArtifactKind, EditId, EventKind, Finish, ImageId, SessionId, StateName};
use limekiln_pictures::original::JPEG_QUALITY;
use limekiln_pictures::{
    Format, Labels, Layers, Limits, Original, Wish, encode, leave_layers, verify,
};
use limekiln_store::Submission;
use limekiln_worker::{Signal, resolve};
use serde_json::json;

use crate::lime::{lime, patient};
use crate::running::Running;

fn room() -> Original {
    let room = limekiln_rooms::bench_room(limekiln_rooms::Style::Rich, 0, 0);
    Original::from(room.draw(192).before.srgb())
}

fn accepted(mut edit: Submission) -> Submission {
    let options = json!({"edit": {"steps": 3}});
    if !edit.spec.segments {
        edit.spec.options = options.as_object().unwrap().clone();
        edit.spec = edit.spec.finished(Finish::Detail, true);
    }
    let resolved = resolve(&edit.spec).unwrap();
    edit.spec.resolved = Some(resolved.preset);
    edit.needs = resolved.needs;
    edit
}

/// The results' files, or what stands for them, in bytes, and the picture with all of them and its union of mattes.
async fn made(context: &TestContext, edit: EditId) -> (Vec<u8>, Vec<Vec<u8>>) {
    let layers = context.store.layers_get(context.tenant, edit);
    let layers = layers.await.unwrap().unwrap();
    let base = context.blob(&layers.base.key).await;
    let mut patches = Vec::new();
    for patch in &layers.patches {
        patches.push(context.blob(&patch.key).await);
    }
    (base, patches)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_keeps_what_it_changed_and_all_else_is_the_first_picture() {
    let context = TestContext::new().await;
    let worker = Running::start(&context, patient(&context), lime()).await;
    let root = room();
    for file in [
        root.encode(Format::Png).unwrap(),
        root.jpeg(JPEG_QUALITY).unwrap(),
    ] {
        let image: ImageId = context.image_create(context.tenant, file.clone()).await;
        let session = SessionId::new();
        let _ = context.store.session_create(context.tenant, session).await;
        let mut parent = None;
        let (mut small, mut mattes) = (0, Vec::new());
        for words in [
            "make the sofa red",
            "make the wall blue",
            "make the lamp green",
        ] {
            let mut edit = match parent {
                Some(parent) => context.turn(parent),
                None => context.instruction(words),
            };
            edit.spec.instruction = words.to_owned();
            edit.session = Some(session);
            edit.image = parent.is_none().then_some(image);
            let turn = context.enqueue(&[accepted(edit)]).await[0];
            context.reaches(turn, StateName::Succeeded).await;
            let get = async |kind| {
                let got = context.store.artifact_get(context.tenant, turn, kind).await;
                got.unwrap()
            };
            assert!(get(ArtifactKind::Result).await.is_none());
            let patch = get(ArtifactKind::Patch).await.unwrap();
            assert_eq!((patch.width, patch.height), (Some(192), Some(192)));
            small += patch.bytes;
            mattes.push(
                context
                    .blob(&get(ArtifactKind::Matte).await.unwrap().key)
                    .await,
            );
            parent = Some(turn);
        }
        let (base, patches) = made(&context, parent.unwrap()).await;
        assert_eq!((&base, patches.len()), (&file, 3));
        let layers = Layers {
            base: &base,
            patches: &patches,
        };
        let left = leave_layers(&layers, &Wish::default(), &Limits::ACCEPTED).unwrap();
        let mattes: Vec<&[u8]> = mattes.iter().map(Vec::as_slice).collect();
        let verdict = verify(&file, &left.bytes, &mattes, &Limits::ACCEPTED).unwrap();
        assert!(verdict.kept, "{:?}", verdict.faults);
        assert_eq!(verdict.blocks.is_some(), left.format == Format::Jpeg);
        // The whole picture of three turns is larger than what they changed of it.
        let (whole, _) = layers.picture(&Limits::ACCEPTED).unwrap();
        assert!(small < 3 * whole.encode(Format::Png).unwrap().len() as u64);
    }
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_numbered_and_the_same_again() {
    let context = TestContext::new().await;
    let worker = Running::start(&context, patient(&context), lime()).await;
    let file = encode::png(&room().on_white().into()).unwrap();
    let image = context.image_create(context.tenant, file).await;
    let mut digests = Vec::new();
    for seed in [1, 2] {
        let mut edit = context.instruction("segments");
        edit.image = Some(image);
        edit.spec.segments = true;
        edit.spec.seed = seed;
        let edit = context.enqueue(&[accepted(edit)]).await[0];
        context.reaches(edit, StateName::Succeeded).await;
        // However soon it is done, its region is told.
        assert_eq!(context.event_count(edit, EventKind::Located).await, 1);
        let get = async |kind| {
            let got = context.store.artifact_get(context.tenant, edit, kind).await;
            got.unwrap()
        };
        assert!(get(ArtifactKind::Result).await.is_none());
        let found = get(ArtifactKind::Labels).await.unwrap();
        digests.push(found.digest);
        let labels = Labels::read(&context.blob(&found.key).await).unwrap();
        let parts = get(ArtifactKind::Parts).await.unwrap();
        let parts: Parts = serde_json::from_slice(&context.blob(&parts.key).await).unwrap();
        assert_eq!((parts.width, parts.height), (192, 192));
        assert_eq!(parts.segments.len(), labels.count() as usize);
        let area: u64 = parts.segments.iter().map(|part| part.area).sum();
        assert_eq!(area, 192 * 192);
        let mut next = 1;
        for y in 0..192 {
            for x in 0..192 {
                let number = labels.at((x, y), (192, 192));
                assert!(number <= next, "in reading order");
                next = next.max(number + 1);
                let [left, top, width, height] = parts.segments[usize::from(number) - 1].bounds;
                assert!((left..left + width).contains(&x) && (top..top + height).contains(&y));
            }
        }
    }
    assert_eq!(digests[0], digests[1]);
    let newest = context
        .store
        .segmentation_get(context.tenant, limekiln_store::PictureId::Image(image));
    assert_eq!(newest.await.unwrap().unwrap().1.digest, digests[0]);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_offered_to_one_worker_runs_there() {
    let context = TestContext::new().await;
    let mut workers = Vec::new();
    for _ in 0..2 {
        let mut worker = Running::spawn(&context, patient(&context), lime());
        let ready = |signal: &Signal| matches!(signal, Signal::Ready(_));
        let Signal::Ready(id) = worker.wait("the worker", ready).await else {
            unreachable!("no other signal was waited for");
        };
        workers.push((worker, id));
    }
    let edit = context.submit(context.submission()).await;
    let released = context.store.edits_release(None, 8, 8).await.unwrap();
    let hint = Hint {
        edit,
        tenant: context.tenant,
        model: released[0].model.clone(),
        class: released[0].class,
        cohort: None,
        announcement: 1,
        trace: None,
    };
    let (worker, id) = &mut workers[1];
    context.broker.offer(*id, &hint);
    let claimed =
        |signal: &Signal| matches!(signal, Signal::Claimed(claimed, _) if *claimed == edit);
    worker.wait("the claim", claimed).await;
    for (worker, _) in workers {
        worker.stop().await.0.unwrap();
    }
}
