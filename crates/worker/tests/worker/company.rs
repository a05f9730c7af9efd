//! The engine itself with several edits at a time: whoever comes, is cancelled, breaks or is saved and resumed, each result has the
//! bytes of its edit alone.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::{ArtifactKind, ModelName, Spec};
use limekiln_lime::Known;
use limekiln_worker::alone::{Alone, Submitted};
use limekiln_worker::{Prepared, Settings, Work};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use safetensors::SafeTensors;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::lime::lime_at;

const SIDE: u32 = 64;

/// What an edit asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Asked {
    room: u64,
    side: u32,
    windows: bool,
    interactive: bool,
}

/// What happens to it.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Runs,
    /// Cancelled once it has done so many steps.
    Cancelled(u32),
    /// Saved once it has done so many steps, stopped, and resumed from there.
    Resumed(u32),
    /// It goes on from a state that is no numbers.
    Broken,
}

fn model() -> ModelName {
    TestContext::model()
}

fn work(engine: &Alone, asked: Asked, saved: Option<Bytes>) -> Work {
    let scene = limekiln_rooms::bench_pair(0, asked.room).before;
    let picture = limekiln_rooms::draw(&scene, SIDE);
    let mut spec = Spec::new("make the sofa red");
    (spec.seed, spec.size) = (asked.room, Some(asked.side));
    let mut edit = json!({"steps": 5});
    if !asked.windows {
        edit["window"] = serde_json::Value::Null;
    }
    let options = json!({"edit": edit, "locate": {"grid": 16, "segments": {"clusters": 4}}});
    spec.options = options.as_object().unwrap().clone();
    spec.resolved = Some(limekiln_worker::resolve(&spec).unwrap().preset);
    let input = limekiln_pictures::encode::png(&picture.into()).unwrap();
    let sizing = engine.sizing(&model()).unwrap();
    let prepared = Prepared::read((&input, &[]), None, &spec, sizing).unwrap();
    Work {
        model: model(),
        spec,
        input: None,
        prepared: Some(prepared),
        known: Known::default(),
        saved,
        patched: false,
        alone: false,
        interactive: asked.interactive,
    }
}

/// The result's bytes.
async fn result(run: Submitted) -> Bytes {
    let render = timeout(PATIENCE, run.ended()).await.unwrap().unwrap();
    let files = render(&CancellationToken::new()).unwrap().files;
    let mut results = files
        .into_iter()
        .filter(|file| file.kind == ArtifactKind::Result);
    results.next().unwrap().body
}

/// What it comes to; none for one that was not to come to anything. Says so once it has done so many steps, or has ended.
async fn lives(
    engine: Arc<Alone>,
    asked: Asked,
    fate: Fate,
    (after, joined): (u32, oneshot::Sender<()>),
) -> Option<Bytes> {
    let submit = |saved| engine.submit(work(&engine, asked, saved));
    let mut run = submit(None);
    run.reaches(after).await;
    let _ = joined.send(());
    match fate {
        Fate::Runs => Some(result(run).await),
        Fate::Cancelled(step) => {
            run.reaches(step).await;
            None
        }
        Fate::Resumed(step) => {
            let saved = match run.reaches(step).await {
                true => run.saved().await,
                false => None,
            };
            drop(run);
            Some(result(submit(saved)).await)
        }
        Fate::Broken => {
            run.reaches(1).await;
            let saved = run.saved().await?;
            drop(run);
            let run = submit(Some(broken(saved.to_vec())));
            // What is drawn of it, if anything, is nobody's business.
            let _ = timeout(PATIENCE, run.ended()).await.unwrap();
            None
        }
    }
}

/// The saved edit with a picture that is no numbers.
fn broken(mut saved: Vec<u8>) -> Bytes {
    let picture = {
        let tensors = SafeTensors::deserialize(&saved).unwrap();
        let data = tensors.tensor("picture").unwrap().data();
        let first = data.as_ptr() as usize - saved.as_ptr() as usize;
        first..first + data.len()
    };
    for value in saved[picture].chunks_exact_mut(4) {
        value.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    saved.into()
}

fn edit() -> impl Strategy<Value = (Asked, Fate, u32)> {
    let asked = (
        0u64..2,
        prop::sample::select(vec![48u32, 64]),
        any::<bool>(),
        any::<bool>(),
    );
    let asked = asked.prop_map(|(room, side, windows, interactive)| Asked {
        room,
        side,
        windows,
        interactive,
    });
    let fate = prop_oneof![
        4 => Just(Fate::Runs),
        1 => (0u32..6).prop_map(Fate::Cancelled),
        3 => (0u32..7).prop_map(Fate::Resumed),
        1 => Just(Fate::Broken),
    ];
    (asked, fate, 0u32..5)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_company_each_result_is_the_edits_own() {
    let settings = Settings::new("tested", vec![model()], "unused");
    let engine = Arc::new(Alone::start(lime_at(SIDE), &settings).await.unwrap());
    let mut alone: Vec<(Asked, Bytes)> = Vec::new();
    let mut runner = TestRunner::default();
    for count in [1, 2, 4, 8, 8] {
        let company = prop::collection::vec(edit(), count);
        let company = company.new_tree(&mut runner).unwrap().current();
        for (asked, ..) in &company {
            if !alone.iter().any(|(known, _)| known == asked) {
                let (joined, _) = oneshot::channel();
                let own = lives(Arc::clone(&engine), *asked, Fate::Runs, (0, joined)).await;
                alone.push((*asked, own.unwrap()));
            }
        }
        let mut edits = Vec::new();
        for &(asked, fate, after) in &company {
            let (joined, next) = oneshot::channel();
            edits.push(tokio::spawn(lives(
                Arc::clone(&engine),
                asked,
                fate,
                (after, joined),
            )));
            next.await.unwrap();
        }
        let made = join_all(edits).await.into_iter().map(Result::unwrap);
        for ((asked, fate, _), made) in company.iter().zip(made) {
            let own = alone.iter().find(|(known, _)| known == asked);
            let same = made.is_none_or(|made| own.is_some_and(|(_, own)| *own == made));
            assert!(same, "{asked:?} {fate:?} in {company:?}");
        }
    }
    assert!(engine.shared() > 0, "no call was shared");
}
