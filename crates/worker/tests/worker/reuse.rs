//! What an edit takes over of earlier edits of its picture, and that nothing of it can fail an edit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use image::{DynamicImage, RgbImage};
use limekiln_blobs::{Blobs, Key, Prefix};
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::{ArtifactKind, EditId, Finish, ImageId, Reuse, StateName};
use limekiln_store::Submission;
use limekiln_testbed::{Proxy, S3, until};
use limekiln_worker::{Settings, Signal, resolve};
use serde_json::{Value, json};

use crate::lime::{lime, patient};
use crate::running::Running;

/// A room with a sofa, as small as the model takes it.
async fn room(context: &TestContext) -> ImageId {
    let scene = limekiln_rooms::bench_pair(0, 0).before;
    let pixels: RgbImage = limekiln_rooms::draw(&scene, 64);
    let png = limekiln_pictures::encode::png(&pixels.into()).unwrap();
    context.image_create(context.tenant, png).await
}

/// An edit of few steps, as a gateway accepts it.
fn edit(context: &TestContext, image: ImageId, words: &str, reuse: Option<Reuse>) -> Submission {
    let mut edit = context.instruction(words);
    edit.image = Some(image);
    edit.spec.reuse = reuse;
    edit.spec.seed = 7;
    edit.spec.options = json!({"edit": {"steps": 2}}).as_object().unwrap().clone();
    edit.spec = edit.spec.finished(Finish::Detail, true);
    let resolved = resolve(&edit.spec).unwrap();
    edit.spec.resolved = Some(resolved.preset);
    edit.needs = resolved.needs;
    edit.needs.extend(edit.spec.needs());
    edit
}

async fn done(context: &TestContext, edit: Submission) -> (EditId, Value) {
    let edit = context.enqueue(&[edit]).await[0];
    let view = context.reaches(edit, StateName::Succeeded).await;
    (edit, view.report.unwrap())
}

async fn file(context: &TestContext, edit: EditId, kind: ArtifactKind) -> Vec<u8> {
    let artifact = context.store.artifact_get(context.tenant, edit, kind).await;
    context.blob(&artifact.unwrap().unwrap().key).await
}

/// The blobs that are kept.
async fn kept(context: &TestContext) -> Vec<Key> {
    let folder: Key = format!("t/{}/intermediates", context.tenant)
        .parse()
        .unwrap();
    let page = context
        .blobs
        .list(&Prefix::folder(&folder), None, 100)
        .await
        .unwrap();
    page.blobs.into_iter().map(|blob| blob.key).collect()
}

/// A worker with an empty disk.
fn fresh(context: &TestContext, name: &str) -> Settings {
    let mut settings = patient(context);
    settings.cache_dir = PathBuf::from(context.dir.path()).join(name);
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_edit_takes_over_what_the_first_computed_wherever_it_runs() {
    let context = TestContext::new().await;
    let image = room(&context).await;
    let worker = Running::start(&context, fresh(&context, "a"), lime()).await;
    let (alone, report) = done(
        &context,
        edit(&context, image, "make the sofa teal", Some(Reuse::None)),
    )
    .await;
    assert_eq!(report.get("reused"), None);
    assert!(
        kept(&context).await.is_empty(),
        "nothing is kept of an edit that reuses nothing"
    );
    let (_, report) = done(&context, edit(&context, image, "make the sofa red", None)).await;
    assert_eq!(report.get("reused"), None);
    assert!(report.get("region_from").is_none());
    let (second, report) = done(&context, edit(&context, image, "make the sofa teal", None)).await;
    assert_eq!(report["reused"], json!(["latents", "segments", "decoded"]));
    worker.stop().await.0.unwrap();

    // Another worker finds it in S3, and the third time on its disk; the region is that of the same words.
    for name in ["b", "b"] {
        let worker = Running::start(&context, fresh(&context, name), lime()).await;
        let (third, report) =
            done(&context, edit(&context, image, "make the sofa teal", None)).await;
        assert_eq!(
            report["reused"],
            json!(["latents", "segments", "map", "region", "decoded"])
        );
        assert_eq!(report["steps"]["locate"], 0);
        for kind in [
            ArtifactKind::Result,
            ArtifactKind::Roi,
            ArtifactKind::Segments,
            ArtifactKind::Attention,
        ] {
            let bytes = file(&context, alone, kind).await;
            assert!(file(&context, second, kind).await == bytes, "{kind}");
            assert!(file(&context, third, kind).await == bytes, "{kind}");
        }
        worker.stop().await.0.unwrap();
    }
    // One blob for each of what two instructions need of one picture, and a row that refers to it.
    let blobs = kept(&context).await;
    assert_eq!(blobs.len(), 5);
    let names: Vec<String> = blobs.iter().map(Key::to_string).collect();
    assert!(
        context
            .store
            .blobs_unreferenced(&names)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(context.number("select max(hits) from intermediates").await >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_or_damaged_is_computed_again() {
    let context = TestContext::new().await;
    let image = room(&context).await;
    let whole = json!(["latents", "segments", "map", "region", "decoded"]);
    let ask = || edit(&context, image, "make the sofa red", None);
    let run = async |name: &str| {
        let worker = Running::start(&context, fresh(&context, name), lime()).await;
        let (edit, report) = done(&context, ask()).await;
        worker.stop().await.0.unwrap();
        (
            file(&context, edit, ArtifactKind::Result).await,
            report["reused"].clone(),
        )
    };
    let (expected, _) = run("first").await;
    let blobs = kept(&context).await;
    assert_eq!(blobs.len(), 4);

    // Rows without blobs, and blobs that are not what they were.
    context.blobs.delete(&blobs[..2]).await.unwrap();
    for blob in &blobs[2..] {
        context
            .blobs
            .put(blob, "damaged".into(), "text/plain")
            .await
            .unwrap();
    }
    assert_eq!(run("lost").await, (expected.clone(), Value::Null));
    // What was computed again is kept again.
    assert_eq!(run("renewed").await, (expected.clone(), whole.clone()));
    // An index that can't be read, or written.
    context
        .sql("alter table intermediates rename to away")
        .await;
    assert_eq!(run("away").await, (expected.clone(), Value::Null));
    context
        .sql("alter table away rename to intermediates")
        .await;
    // Bytes that are well, and nothing that this version knows.
    let odd = kept(&context).await;
    for blob in &odd {
        context
            .blobs
            .put(blob, "newer".into(), "text/plain")
            .await
            .unwrap();
    }
    let digest = limekiln_jobs::Digest::of(b"newer");
    context
        .sql(&format!(
            "update intermediates set digest = '\\x{digest}', bytes = 5"
        ))
        .await;
    assert_eq!(run("newer").await, (expected, Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_that_make_the_same_keep_it_once() {
    let context = TestContext::new().await;
    let image = room(&context).await;
    let workers = [
        Running::start(&context, fresh(&context, "a"), lime()).await,
        Running::start(&context, fresh(&context, "b"), lime()).await,
    ];
    let edits: Vec<Submission> = (0..4)
        .map(|_| edit(&context, image, "make the sofa red", None))
        .collect();
    for edit in context.enqueue(&edits).await {
        context.reaches(edit, StateName::Succeeded).await;
    }
    for worker in workers {
        worker.stop().await.0.unwrap();
    }
    assert_eq!(
        context.number("select count(*) from intermediates").await,
        4
    );
    assert_eq!(
        kept(&context).await.len(),
        4,
        "the one that came second took its blobs away"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_region_of_an_object_serves_all_its_colors() {
    let context = TestContext::new().await;
    let image = room(&context).await;
    let worker = Running::start(&context, fresh(&context, "a"), lime()).await;
    let object = Some(Reuse::Object);
    let (first, report) = done(&context, edit(&context, image, "make the sofa red", object)).await;
    assert!(report.get("region_from").is_none());
    let region = file(&context, first, ArtifactKind::Roi).await;
    for color in ["teal", "dark green", "#1F6F8B"] {
        let words = format!("make the sofa {color}");
        let (other, report) = done(&context, edit(&context, image, &words, object)).await;
        assert_eq!(report["region_from"], json!(first), "{color}");
        assert_eq!(
            (&report["steps"]["locate"], &report["reused"][3]),
            (&json!(0), &json!("region"))
        );
        assert!(
            file(&context, other, ArtifactKind::Roi).await == region,
            "{color}"
        );
    }
    // Other objects, and words that are not understood.
    for words in [
        "make the red sofa blue",
        "make the sofa nicer",
        "make the lamp red",
    ] {
        let (_, report) = done(&context, edit(&context, image, words, object)).await;
        assert!(report.get("region_from").is_none(), "{words}");
        assert_eq!(report["steps"]["locate"], 1, "{words}");
    }
    // Whoever does not ask for it gets the region of its own words; the object's stays the first one's.
    let (_, report) = done(&context, edit(&context, image, "make the sofa teal", None)).await;
    assert_eq!(
        (report.get("region_from"), &report["steps"]["locate"]),
        (None, &json!(1))
    );
    worker.stop().await.0.unwrap();
    let worker = Running::start(&context, fresh(&context, "b"), lime()).await;
    let (_, report) = done(
        &context,
        edit(&context, image, "make the sofa teal", object),
    )
    .await;
    assert_eq!(report["region_from"], json!(first));
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_color_of_an_object_takes_over_its_matte() {
    let context = TestContext::new().await;
    let drawn = limekiln_rooms::bench_room(limekiln_rooms::Style::Plain, 0, 0).draw(256);
    let png = |picture: DynamicImage| limekiln_pictures::encode::png(&picture).unwrap();
    let image = png(drawn.before.srgb().into());
    let image = context.image_create(context.tenant, image).await;
    let mask = context
        .image_create(context.tenant, png(drawn.mask().into()))
        .await;
    let ask = |around: bool, color: &str, reuse| {
        let mut edit = context.instruction("recolor the sofa");
        edit.image = Some(image);
        edit.mask = around.then_some(mask);
        edit.spec.preset = "recolor".to_owned();
        edit.spec.color = Some(color.to_owned());
        edit.spec.matte = around;
        edit.spec.reuse = reuse;
        let resolved = resolve(&edit.spec).unwrap();
        edit.spec.resolved = Some(resolved.preset);
        edit.needs = resolved.needs;
        edit.needs.extend(edit.spec.needs());
        edit
    };
    let matte = |report: &Value| {
        let reused = report["reused"].as_array();
        reused.is_some_and(|kinds| kinds.contains(&json!("matte")))
    };
    let worker = Running::start(&context, fresh(&context, "a"), lime()).await;
    let mut alone = Vec::new();
    for around in [false, true] {
        let (_, report) = done(&context, ask(around, "#C02020", None)).await;
        assert!(!matte(&report), "{around}");
        let nothing = Some(Reuse::None);
        let (edit, report) = done(&context, ask(around, "#1F6F8B", nothing)).await;
        assert!(!matte(&report), "{around}");
        let recolor = report["recolor"].clone();
        alone.push((file(&context, edit, ArtifactKind::Result).await, recolor));
    }
    // In memory, in S3, and on the disk of another worker.
    let mut worker = Some(worker);
    for name in ["a", "b", "b"] {
        let running = match worker.take() {
            Some(running) => running,
            None => Running::start(&context, fresh(&context, name), lime()).await,
        };
        for around in [false, true] {
            let (edit, report) = done(&context, ask(around, "#1F6F8B", None)).await;
            assert!(matte(&report), "{around} at {name}: {report}");
            let (result, recolor) = &alone[usize::from(around)];
            assert!(file(&context, edit, ArtifactKind::Result).await == *result);
            assert_eq!(report["recolor"]["find_ms"], 0.0);
            for field in ["materials", "sure", "to", "evidence"] {
                assert_eq!(report["recolor"][field], recolor[field], "{field}");
            }
        }
        running.stop().await.0.unwrap();
    }
}

/// Bytes of all files in a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.path() {
        folder if folder.is_dir() => bytes_in(&folder),
        file => std::fs::metadata(file).map_or(0, |file| file.len()),
    });
    bytes.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_full_caches_and_s3_away_meanwhile_nothing_is_lost() {
    let plain = TestContext::new().await;
    let s3 = S3::shared();
    let proxy = Proxy::start(s3.port());
    let mut behind = s3.settings(&s3.bucket());
    behind.endpoint = Some(proxy.before(s3.endpoint().as_str()).parse().unwrap());
    behind.timeouts.operation = Duration::from_secs(2);
    let blobs = Blobs::connect(&behind).await.unwrap();
    blobs.bucket_ensure().await.unwrap();
    let context = TestContext { blobs, ..plain };
    let image = room(&context).await;
    // Not even what one picture leaves fits.
    let cramped = |name: &str| Settings {
        cache_bytes_max: 40 << 10,
        reuse_bytes_max: 30 << 10,
        ..fresh(&context, name)
    };
    let words = ["make the sofa red", "make the wall blue"];
    let asked = |reuse: Option<Reuse>| {
        let edits = words.map(|words| edit(&context, image, words, reuse));
        Vec::from(edits)
    };
    let worker = Running::start(&context, cramped("a"), lime()).await;
    let mut alone = Vec::new();
    for edit in asked(Some(Reuse::None)) {
        let (edit, _) = done(&context, edit).await;
        alone.push(file(&context, edit, ArtifactKind::Result).await);
    }
    worker.stop().await.0.unwrap();

    // One worker keeps what it made; S3 goes while another, with nothing at hand, is about to read it and to put its own.
    let (_, report) = {
        let worker = Running::start(&context, cramped("a"), lime()).await;
        let first = done(&context, edit(&context, image, words[0], None)).await;
        worker.stop().await.0.unwrap();
        first
    };
    assert_eq!(report.get("reused"), None);
    let mut worker = Running::start(&context, cramped("b"), lime()).await;
    let edits = context.enqueue(&[asked(None), asked(None)].concat()).await;
    for _ in 0..2 {
        let claimed = |signal: &Signal| matches!(signal, Signal::Claimed(..));
        worker.wait("a claim", claimed).await;
        proxy.refuse();
        let refused = proxy.accepted();
        until("tries", PATIENCE, async || proxy.accepted() > refused + 3).await;
        proxy.resume();
    }
    for (at, edit) in edits.into_iter().enumerate() {
        let view = context.reaches(edit, StateName::Succeeded).await;
        assert_eq!(view.attempts, 0);
        let result = file(&context, edit, ArtifactKind::Result).await;
        assert!(result == alone[at % 2], "{at}");
    }
    worker.stop().await.0.unwrap();
    for name in ["a", "b"] {
        let bytes = bytes_in(&cramped(name).cache_dir);
        assert!(bytes <= 40 << 10, "{bytes} bytes in {name}");
    }
    // Every row has its blob.
    let rows = context.number("select count(*) from intermediates").await;
    let held = kept(&context).await;
    assert!(rows > 0 && rows <= held.len() as i64, "{rows} of {held:?}");
    let blobs = format!(
        "'{{{}}}'",
        held.iter()
            .map(Key::to_string)
            .collect::<Vec<_>>()
            .join(",")
    );
    let missing = format!("select count(*) from intermediates where blob_key <> all ({blobs})");
    assert_eq!(context.number(&missing).await, 0);
}
