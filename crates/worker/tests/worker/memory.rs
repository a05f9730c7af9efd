//! What edits may hold in memory.

use image::{DynamicImage, RgbImage};
use limekiln_fixture::TestContext;
use limekiln_jobs::{FailureClass, StateName};
use limekiln_store::Submission;
use limekiln_worker::{Error, Settings, Signal, Sizing};

use crate::gate::{Gate, sized};
use crate::running::{Running, settings};

/// An engine that takes a kilobyte for each pixel.
const SIZING: Option<Sizing> = Some(Sizing {
    side_px: 64,
    factor: 8,
    pixel_bytes: 1 << 10,
    speed: None,
});

/// Room for an edit of 64 x 64 pixels, 4 MiB and its canvas, and not for two.
fn narrow(context: &TestContext) -> Settings {
    Settings {
        memory_bytes: 6 << 20,
        slots: 2,
        ..settings(context)
    }
}

async fn edit(context: &TestContext, side: u32) -> Submission {
    let pixels = DynamicImage::from(RgbImage::new(side, side));
    let picture = limekiln_pictures::encode::png(&pixels).unwrap();
    let mut edit = context.instruction("anything");
    edit.image = Some(context.image_create(context.tenant, picture).await);
    edit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_starts_once_its_memory_is_free() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    // Room for two of the model's own size, and for one of 80 x 80, which takes 6 MiB and a quarter.
    let mut wide = narrow(&context);
    (wide.memory_bytes, wide.size_max) = (9 << 20, Some(80));
    let mut worker = Running::start(&context, wide, sized(&gate, 2, SIZING)).await;
    let mut large = [edit(&context, 80).await, edit(&context, 80).await];
    for edit in &mut large {
        edit.spec.size = Some(80);
    }
    let edits = context.enqueue(&large).await;
    for _ in &edits {
        worker
            .wait("a claim", |signal| matches!(signal, Signal::Claimed(..)))
            .await;
    }
    gate.open(1);
    let mut first = None;
    worker
        .wait("a step", |signal| match signal {
            Signal::Stepped(edit, ..) => first.replace(*edit).is_none(),
            _ => false,
        })
        .await;
    gate.open(1);
    worker
        .wait(
            "the other",
            |signal| matches!(signal, Signal::Started(edit, ..) if Some(*edit) != first),
        )
        .await;
    assert_eq!(gate.passed(), 2, "the first had all its steps");
    gate.open(2);
    for edit in edits {
        context.reaches(edit, StateName::Succeeded).await;
    }
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_announces_as_many_slots_as_memory_has_room_for() {
    let context = TestContext::new().await;
    for (mib, asked, slots) in [(6, 2, 1), (9, 2, 2), (9, 4, 2), (64, 4, 4)] {
        let mut settings = narrow(&context);
        (settings.memory_bytes, settings.slots) = (mib << 20, asked);
        let factory = sized(&Gate::default(), 1, SIZING);
        let worker = Running::start(&context, settings, factory).await;
        let announced = context.store.worker_list().await.unwrap();
        assert_eq!(announced[0].slots, slots, "{asked} in {mib} MiB");
        worker.stop().await.0.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_fit_is_refused_with_the_limit() {
    let context = TestContext::new().await;
    let gate = Gate::default();
    gate.open(9);
    let worker = Running::start(&context, narrow(&context), sized(&gate, 1, SIZING)).await;
    // Its pixels alone are more than what the engine leaves.
    let mut large = edit(&context, 1024).await;
    // Another worker may have more memory, so it would be tried again.
    large.max_attempts = 1;
    let edits = context.enqueue(&[large, edit(&context, 128).await]).await;
    let view = context.reaches(edits[0], StateName::Failed).await;
    let failure = view.error.unwrap();
    assert_eq!(
        (failure.class, failure.code.as_str()),
        (FailureClass::Internal, "memory_limit")
    );
    assert!(failure.message.contains("6 MiB"), "{failure}");
    // A smaller picture.
    context.reaches(edits[1], StateName::Succeeded).await;
    worker.stop().await.0.unwrap();

    let mut narrower = narrow(&context);
    narrower.memory_bytes = 3 << 20;
    let error = Running::spawn(&context, narrower, sized(&gate, 1, SIZING))
        .end()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Memory { .. }), "{error}");
    assert!(error.to_string().contains("--memory-mib"), "{error}");
}
