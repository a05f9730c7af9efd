//! Postgres and S3 away for a while.

use std::time::Duration;

use limekiln_blobs::Blobs;
use limekiln_fixture::{PATIENCE, TestContext, png};
use limekiln_jobs::{EventKind, StateName};
use limekiln_testbed::{Postgres, Proxy, S3};
use limekiln_worker::Signal;

use crate::gate::null;
use crate::running::{Running, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_to_postgres_double_and_lose_nothing() {
    let coordinated = TestContext::new().await;
    let proxy = Proxy::start(Postgres::shared().port());
    let context = TestContext {
        acquire_timeout: Duration::from_secs(5),
        ..coordinated.behind(&proxy).await
    };
    let mut many = settings(&context);
    many.slots = 16;
    many.lease_ttl = Duration::from_secs(30);
    let mut worker = Running::start(&context, many, null(4, Duration::from_millis(5))).await;
    let dispatcher = coordinated.dispatcher();
    let edits = coordinated
        .enqueue(
            &(0..200)
                .map(|_| coordinated.instruction("anything"))
                .collect::<Vec<_>>(),
        )
        .await;
    for _ in 0..8 {
        worker
            .wait("an edit's end", |signal| {
                matches!(signal, Signal::Completed(..))
            })
            .await;
        proxy.cut();
    }
    for edit in edits {
        let view = coordinated.reaches(edit, StateName::Succeeded).await;
        assert_eq!(view.attempts, 0);
        assert_eq!(coordinated.event_count(edit, EventKind::Started).await, 1);
        assert_eq!(coordinated.event_count(edit, EventKind::Succeeded).await, 1);
    }
    drop(dispatcher);
    worker.stop().await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_waits_for_s3_and_costs_no_attempt() {
    let plain = TestContext::new().await;
    let s3 = S3::shared();
    let proxy = Proxy::start(s3.port());
    let bucket = s3.bucket();
    let mut behind = s3.settings(&bucket);
    behind.endpoint = Some(proxy.before(s3.endpoint().as_str()).parse().unwrap());
    behind.timeouts.operation = Duration::from_secs(2);
    let blobs = Blobs::connect(&behind).await.unwrap();
    blobs.bucket_ensure().await.unwrap();
    let context = TestContext { blobs, ..plain };
    let image = context.image_create(context.tenant, png(9)).await;
    let worker = Running::start(&context, settings(&context), null(2, Duration::ZERO)).await;
    proxy.refuse();
    let mut edit = context.instruction("anything");
    edit.image = Some(image);
    let edit = context.enqueue(&[edit]).await[0];
    let refused = proxy.accepted();
    limekiln_testbed::until("tries", PATIENCE, async || proxy.accepted() > refused + 3).await;
    assert_eq!(context.view(edit).await.state, StateName::Running);
    proxy.resume();
    let view = context.reaches(edit, StateName::Succeeded).await;
    assert_eq!(view.attempts, 0);
    worker.stop().await.0.unwrap();
}
