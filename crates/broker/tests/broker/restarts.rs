//! RabbitMQ goes away and comes back.

use std::time::{Duration, Instant};

use limekiln_broker::{Broker, Update};
use limekiln_jobs::{Class, EditId, Epoch, ErrorKind, Retryable};
use limekiln_testbed::{RabbitMq, until};

use crate::kit::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart() {
    away_and_back("stopped", async |node| node.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill() {
    away_and_back("killed", async |node| node.kill9().await).await;
}

async fn away_and_back(rooms: &str, end: impl AsyncFn(&RabbitMq)) {
    let late_rooms = &format!("{rooms}-late");
    let node = node_alone().await;
    let broker = Broker::connect(&impatient(node.url())).await.unwrap();
    let mut consumer = broker.consume(&[model(rooms)], None, 4).await.unwrap();
    let mut wakes = broker.wakes().await;
    let mut stops = broker.stops().await;
    let edit = EditId::new();
    let mut subscription = broker.subscribe(edit).await;
    let kept = hints(rooms, Class::Interactive, 100);
    announce(&broker, &kept).await;
    // One delivery stays unsettled over the restart.
    let unsettled = next(&mut consumer).await;

    end(&node).await;
    until("the loss to be noticed", SOON, async || {
        !broker.is_connected()
    })
    .await;
    // Everything fails fast, or returns at once.
    let start = Instant::now();
    let lost = hint(rooms, Class::Bulk);
    let results = broker.announce(std::slice::from_ref(&lost)).await;
    assert_eq!(
        results[0].as_ref().unwrap_err().kind(),
        ErrorKind::Transient
    );
    assert!(
        broker
            .depth(&model(rooms))
            .await
            .unwrap_err()
            .is_transient()
    );
    let followed = EditId::new();
    let mut late = broker.subscribe(followed).await;
    let mut late_consumer = broker.consume(&[model(late_rooms)], None, 1).await.unwrap();
    broker.publish_live(&preview(edit, 1));
    broker.stop(edit, Epoch::new(1));
    broker.wake();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert!(!broker.check(&[]).await.is_healthy());
    // The channel of this delivery is gone, so the ack is lost and the edit comes again.
    unsettled.ack();

    node.run().await;
    until("the connection to be back", 2 * SOON, async || {
        broker.is_connected()
    })
    .await;
    take_all(&mut consumer, &edits(&kept)).await;
    // Subscribers are told, whether they subscribed before or meanwhile.
    assert!(matches!(receive(&mut subscription).await, Update::Lagged));
    assert!(matches!(receive(&mut late).await, Update::Lagged));
    soon(wakes.next()).await;
    // And everything works as before.
    until("live messages", SOON, async || {
        broker.publish_live(&preview(followed, 7));
        let seen = tokio::time::timeout(Duration::from_millis(200), receive_live(&mut late)).await;
        seen.is_ok_and(|live| step(&live) == 7)
    })
    .await;
    until("stops", SOON, async || {
        broker.stop(edit, Epoch::new(2));
        let stop = tokio::time::timeout(Duration::from_millis(200), stops.next()).await;
        stop.is_ok_and(|stop| stop.is_some_and(|stop| stop.run().edit == edit))
    })
    .await;
    let more = hints(late_rooms, Class::Bulk, 20);
    announce_and_take(&broker, &mut late_consumer, &more).await;
    broker.close().await;
}

/// On RabbitMQ 3.10 a quorum queue made within the last seconds before the node was killed mostly comes back without a
/// leader: it exists, and answers nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_with_new_queues() {
    let node = node_alone().await;
    let broker = Broker::connect(&impatient(node.url())).await.unwrap();
    let mut consumer = broker.consume(&[model("new")], None, 4).await.unwrap();
    node.kill9().await;
    node.run().await;
    until("the connection to be back", 2 * SOON, async || {
        broker.is_connected()
    })
    .await;
    let announced = hints_of_all_classes("new", 10);
    announce_and_take(&broker, &mut consumer, &announced).await;
}
