//! Streams of events: whole and in order, whatever gets lost.

use std::time::Duration;

use limekiln_fixture::PATIENCE;
use limekiln_jobs::{EditEvent, EventKind, Live};
use serde_json::json;

use crate::support::Gateway;
use crate::support::http::{self, Open};
use crate::support::worker::ManualWorker;

async fn numbers(stream: &mut Open) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(event) = tokio::time::timeout(PATIENCE, stream.event())
        .await
        .expect("the stream ends")
    {
        numbers.extend(event.id);
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_come_back_where_they_left() {
    let gateway = Gateway::start().await;
    let mut manual = ManualWorker::new(&gateway).await;
    let edit = gateway.edit().await;
    let path = format!("/v1/edits/{edit}/events");
    let claimed = manual.claim().await;
    let (_, mut stream) = http::open(gateway.address, gateway.request("GET", &path)).await;
    for number in 1..=2 {
        assert_eq!(stream.event().await.unwrap().id, Some(number));
    }
    drop(stream);
    for step in 1..=3 {
        manual.progress(&claimed[0], step).await;
    }
    let (_, mut stream) = http::open(
        gateway.address,
        gateway.request("GET", &path).header("last-event-id", "2"),
    )
    .await;
    assert_eq!(stream.event().await.unwrap().id, Some(3));
    manual.complete(&claimed[0]).await;
    assert_eq!(numbers(&mut stream).await, [4, 5, 6]);
    // A number from the future is no reason to be silent.
    let (_, mut stream) = http::open(gateway.address, gateway.request("GET", &path)).await;
    assert_eq!(
        numbers(&mut stream).await,
        [1, 2, 3, 4, 5, 6],
        "the whole history, to its end"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_loses_or_doubles_is_read_again() {
    let gateway =
        Gateway::with(|settings| settings.timeouts.poll = Duration::from_millis(50)).await;
    let mut manual = ManualWorker::new(&gateway).await;
    let mut silent = ManualWorker::silent(&gateway).await;
    let edit = gateway.edit().await;
    let claimed = manual.claim().await;
    let (_, mut stream) = http::open(
        gateway.address,
        gateway.request("GET", &format!("/v1/edits/{edit}/events")),
    )
    .await;
    for number in 1..=2 {
        assert_eq!(stream.event().await.unwrap().id, Some(number));
    }
    // Nobody tells of 3 and 4; the poller finds them.
    silent.progress(&claimed[0], 1).await;
    silent.progress(&claimed[0], 2).await;
    assert_eq!(stream.event().await.unwrap().id, Some(3));
    assert_eq!(stream.event().await.unwrap().id, Some(4));
    // Told late, twice, and in the wrong order.
    let known = gateway
        .context
        .store
        .events_after(edit, 0, 100)
        .await
        .unwrap();
    for event in known.iter().rev().chain(&known) {
        gateway
            .context
            .broker
            .publish_live(&Live::Event(event.clone()));
    }
    silent.progress(&claimed[0], 3).await;
    manual.complete(&claimed[0]).await;
    assert_eq!(numbers(&mut stream).await, [5, 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn previews_pass_and_are_not_kept() {
    let gateway = Gateway::start().await;
    let mut manual = ManualWorker::new(&gateway).await;
    let edit = gateway.edit().await;
    let claimed = manual.claim().await;
    let path = format!("/v1/edits/{edit}/events");
    let (_, mut stream) = http::open(gateway.address, gateway.request("GET", &path)).await;
    for number in 1..=2 {
        assert_eq!(stream.event().await.unwrap().id, Some(number));
    }
    gateway.context.broker.publish_live(&Live::Preview {
        edit,
        session: None,
        epoch: claimed[0].epoch,
        step: 1,
        jpeg: "/9j/".to_owned(),
    });
    let preview = stream.event().await.unwrap();
    assert_eq!(
        (preview.id, preview.kind.as_str(), &preview.data["jpeg"]),
        (None, "preview", &json!("/9j/"))
    );
    manual.complete(&claimed[0]).await;
    assert_eq!(numbers(&mut stream).await, [3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_postgres_does_not_have_is_not_believed() {
    let gateway =
        Gateway::with(|settings| settings.timeouts.poll = Duration::from_millis(50)).await;
    let mut manual = ManualWorker::new(&gateway).await;
    let edit = gateway.edit().await;
    let claimed = manual.claim().await;
    let (_, mut stream) = http::open(
        gateway.address,
        gateway.request("GET", &format!("/v1/edits/{edit}/events")),
    )
    .await;
    for number in 1..=2 {
        assert_eq!(stream.event().await.unwrap().id, Some(number));
    }
    let at = time::OffsetDateTime::UNIX_EPOCH;
    gateway.context.broker.publish_live(&Live::Event(EditEvent {
        edit,
        session: None,
        seq: 99,
        at,
        kind: EventKind::Succeeded,
        data: json!({}),
    }));
    manual.progress(&claimed[0], 1).await;
    manual.complete(&claimed[0]).await;
    assert_eq!(numbers(&mut stream).await, [3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_broken_by_comments_and_an_end_is_an_end() {
    let gateway =
        Gateway::with(|settings| settings.timeouts.keep_alive = Duration::from_millis(20)).await;
    let edit = gateway.edit().await;
    let (_, mut stream) = http::open(
        gateway.address,
        gateway.request("GET", &format!("/v1/edits/{edit}/events")),
    )
    .await;
    let mut comments = 0;
    while comments < 3 {
        let chunk = tokio::time::timeout(PATIENCE, stream.chunk())
            .await
            .unwrap()
            .expect("the stream is open");
        comments += usize::from(chunk == b":\n\n");
    }
    gateway.shutdown.cancel();
    let rest = async { while stream.chunk().await.is_some() {} };
    tokio::time::timeout(PATIENCE, rest)
        .await
        .expect("streams end with the gateway");
    tokio::time::timeout(PATIENCE, gateway.server)
        .await
        .expect("and the gateway ends")
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_bounded_in_number() {
    let gateway = Gateway::with(|settings| {
        settings.limits.watchers = 2;
        settings.limits.tenant_share = 1.0;
    })
    .await;
    let edit = gateway.edit().await;
    let path = format!("/v1/edits/{edit}/events");
    let (_, first) = http::open(gateway.address, gateway.request("GET", &path)).await;
    let (_, _second) = http::open(gateway.address, gateway.request("GET", &path)).await;
    // Whoever it is: for our tenant its own share says so first.
    let third = gateway.send(http::Request::new("GET", &path).key(&gateway.other));
    let third = third.await;
    assert_eq!((third.status, third.code().as_str()), (503, "overloaded"));
    drop(first);
    limekiln_testbed::until("room for another", PATIENCE, async || {
        http::open(gateway.address, gateway.request("GET", &path))
            .await
            .0
            .status
            == 200
    })
    .await;
}
