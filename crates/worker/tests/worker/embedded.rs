//! A worker on what `limekiln dev` runs in process: one connection to Postgres, the in-process broker.

use std::time::Duration;

use limekiln_blobs::{Blobs, Fsync};
use limekiln_broker::Broker;
use limekiln_fixture::TestContext;
use limekiln_jobs::{EventKind, StateName};
use limekiln_store::{Embedded, Store};

use crate::gate::null;
use crate::running::{Running, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_one_process() {
    let dir = tempfile::TempDir::new().unwrap();
    let at = dir.path().join("postgres");
    let postgres = tokio::task::spawn_blocking(move || Embedded::start(&at))
        .await
        .unwrap()
        .unwrap();
    let store = Store::connect(&postgres.settings()).await.unwrap();
    let blobs = Blobs::folder(&dir.path().join("s3"), "limekiln", Fsync::Always)
        .await
        .unwrap();
    let context = TestContext::on(store, Broker::local(), blobs).await;
    let mut settings = settings(&context);
    settings.slots = 8;
    settings.checkpoint_every = Duration::ZERO;
    let worker = Running::start(&context, settings, null(5, Duration::from_millis(5))).await;
    let dispatcher = context.dispatcher();
    let edits = context
        .enqueue(
            &(0..40)
                .map(|_| context.instruction("anything"))
                .collect::<Vec<_>>(),
        )
        .await;
    for edit in edits {
        context.reaches(edit, StateName::Succeeded).await;
        assert_eq!(context.event_count(edit, EventKind::Started).await, 1);
    }
    drop(dispatcher);
    worker.stop().await.0.unwrap();
    context.store.close().await;
}
