//! The same on what `limekiln dev` runs in process: one connection to Postgres, the in-process broker.

use limekiln_blobs::{Blobs, Fsync};
use limekiln_broker::Broker;
use limekiln_fixture::{PATIENCE, TestContext, next_delivery};
use limekiln_jobs::{FailureClass, StateName};
use limekiln_store::{Embedded, Store, Submission, Submitted};
use limekiln_testbed::until;
use tempfile::TempDir;

use crate::endpoint::Endpoint;
use crate::running::{Coordinator, settings, submitter};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_session_with_a_pool_of_one() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("postgres");
    let embedded = tokio::task::spawn_blocking(move || Embedded::start(&data))
        .await
        .unwrap()
        .unwrap();
    let store = Store::connect(&embedded.settings()).await.unwrap();
    let blobs = Blobs::folder(&dir.path().join("blobs"), "limekiln", Fsync::Always)
        .await
        .unwrap();
    let context = TestContext::on(store, Broker::local(), blobs).await;
    let endpoint = Endpoint::start(&[500, 200]).await;
    // Two, as if by mistake: on one connection as well neither gets in the other's way.
    let coordinators = [
        Coordinator::start(&context, settings()),
        Coordinator::start(&context, settings()),
    ];
    let submitter = submitter(&context);
    let mut consumer = context.consumer(2).await;

    let parent = Submission {
        webhook_url: Some(endpoint.url()),
        ..context.submission()
    };
    let turns = [parent.clone(), context.turn(parent.id)];
    let doomed = context.turn(turns[1].id);
    for one in turns.iter().chain([&doomed]) {
        assert!(matches!(
            submitter.submit(one.clone()).await.unwrap(),
            Submitted::Created { .. }
        ));
    }
    let delivery = next_delivery(&mut consumer).await;
    assert_eq!(delivery.hint.edit, parent.id);
    // The first attempt fails and waits a second, the shortest there is.
    let claimed = context.claim(parent.id).await;
    context
        .fail(parent.id, claimed.epoch, FailureClass::Internal)
        .await;
    delivery.ack();
    let delivery = next_delivery(&mut consumer).await;
    let claimed = context.claim(parent.id).await;
    assert_eq!(claimed.epoch.get(), 2);
    context.complete(&claimed).await;
    delivery.ack();
    let delivery = next_delivery(&mut consumer).await;
    assert_eq!(delivery.hint.edit, turns[1].id);
    submitter.cancel(context.tenant, turns[1].id).await.unwrap();
    delivery.ack();
    context.reaches(doomed.id, StateName::Failed).await;
    until("the second delivery", PATIENCE, async || {
        endpoint.received().len() == 2
    })
    .await;
    for coordinator in coordinators {
        coordinator.stop().await;
    }
    context.store.close().await;
}
