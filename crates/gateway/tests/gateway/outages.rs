//! What the gateway says while something behind it is down, and after.

use limekiln_broker::Broker;
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_testbed::{Postgres, Proxy};

use crate::support::Gateway;
use crate::support::http::{self, Request};
use crate::support::worker::ManualWorker;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_away_for_a_while() {
    let proxy = Proxy::start(Postgres::shared().port());
    let url = proxy.before(&limekiln_fixture::database().await);
    let context = TestContext::with_database(url, Broker::local()).await;
    let gateway = Gateway::on(context, |settings| {
        settings.timeouts.ready = std::time::Duration::from_millis(500)
    })
    .await;
    let mut manual = ManualWorker::new(&gateway).await;
    let edit = gateway.edit().await;
    let claimed = manual.claim().await;
    let path = format!("/v1/edits/{edit}/events");
    let (_, mut stream) = http::open(gateway.address, gateway.request("GET", &path)).await;
    for number in 1..=2 {
        assert_eq!(stream.event().await.unwrap().id, Some(number));
    }

    proxy.refuse();
    proxy.cut();
    let get = gateway.get(&format!("/v1/edits/{edit}")).await;
    assert_eq!((get.status, get.code().as_str()), (503, "unavailable"));
    assert!(get.header("retry-after").is_some());
    assert_eq!(
        gateway.send(Request::new("GET", "/healthz")).await.status,
        200,
        "it lives"
    );
    limekiln_testbed::until("readiness says so", PATIENCE, async || {
        let ready = gateway.send(Request::new("GET", "/readyz")).await;
        let check = ready.json()["checks"][0].clone();
        ready.status == 503
            && check["name"] == "postgres"
            && check["ok"] == false
            && check["detail"].is_string()
    })
    .await;

    proxy.resume();
    limekiln_testbed::until("readiness comes back", PATIENCE, async || {
        gateway.send(Request::new("GET", "/readyz")).await.status == 200
    })
    .await;
    manual.progress(&claimed[0], 1).await;
    manual.complete(&claimed[0]).await;
    let mut numbers = Vec::new();
    while let Some(event) = tokio::time::timeout(PATIENCE, stream.event())
        .await
        .expect("the stream ends")
    {
        numbers.extend(event.id);
    }
    assert_eq!(numbers, [3, 4], "the open stream missed nothing");
}
