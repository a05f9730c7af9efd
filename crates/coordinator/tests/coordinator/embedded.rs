//! The same on what `limekiln dev` runs in process: one connection to Postgres, the in-process broker.

use limekiln_blobs::{Blobs, embedded::Embedded as BlobServer};
use limekiln_broker::Broker;
use limekiln_coordinator::Submitter;
use limekiln_jobs::{FailureClass, StateName, WorkerId};
use limekiln_store::{Embedded, Store, Submission, Submitted};
use limekiln_testbed::until;
use tempfile::TempDir;

use crate::endpoint::Endpoint;
use crate::home::{Home, PATIENCE, offered, provider, settings, submission, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_session_with_a_pool_of_one() {
    provider();
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("postgres");
    let embedded = tokio::task::spawn_blocking(move || Embedded::start(&data))
        .await
        .unwrap()
        .unwrap();
    let store = Store::connect(&embedded.settings()).await.unwrap();
    store.migrate().await.unwrap();
    let server = BlobServer::start(&dir.path().join("blobs"), 0)
        .await
        .unwrap();
    let blobs = Blobs::connect(&server.settings("limekiln")).await.unwrap();
    blobs.bucket_ensure().await.unwrap();
    let home = Home {
        store,
        broker: Broker::local(),
        blobs,
        database: String::new(),
        vhost_url: String::new(),
        worker: WorkerId::new(),
    };
    let endpoint = Endpoint::start(&[500, 200]).await;
    // Two, as if by mistake: on one connection as well neither gets in the other's way.
    let coordinators = [home.coordinator(settings()), home.coordinator(settings())];
    let submitter = Submitter::new(home.store.clone(), home.broker.clone());
    let tenant = home.tenant().await;
    let image = home.image(tenant).await;
    let mut consumer = home.consumer(2).await;

    let parent = Submission {
        webhook_url: Some(endpoint.url()),
        ..submission(tenant, image)
    };
    let turns = [parent.clone(), turn(tenant, parent.id)];
    let doomed = turn(tenant, turns[1].id);
    for one in turns.iter().chain([&doomed]) {
        assert!(matches!(
            submitter.submit(one.clone()).await.unwrap(),
            Submitted::Created { .. }
        ));
    }
    let delivery = offered(&mut consumer).await;
    assert_eq!(delivery.hint.edit, parent.id);
    // The first attempt fails and waits a second, the shortest there is.
    let claimed = home.claim(parent.id).await;
    home.fail(parent.id, claimed.epoch, FailureClass::Internal)
        .await;
    delivery.ack();
    let delivery = offered(&mut consumer).await;
    let claimed = home.claim(parent.id).await;
    assert_eq!(claimed.epoch.get(), 2);
    home.complete(&claimed).await;
    delivery.ack();
    let delivery = offered(&mut consumer).await;
    assert_eq!(delivery.hint.edit, turns[1].id);
    submitter.cancel(tenant, turns[1].id).await.unwrap();
    delivery.ack();
    home.reaches(tenant, doomed.id, StateName::Failed).await;
    until("the second delivery", PATIENCE, async || {
        endpoint.received().len() == 2
    })
    .await;
    for coordinator in coordinators {
        coordinator.stop().await;
    }
    home.store.close().await;
    server.stop().await;
}
