//! What the gateway says while something behind it is down, and after.

use limekiln_blobs::Blobs;
use limekiln_broker::{Broker, Settings as BrokerSettings};
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_testbed::{Postgres, Proxy, RabbitMq, S3, until};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::http::{self, Request};
use crate::support::worker::ManualWorker;
use crate::support::{Gateway, pictures};

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
    until("readiness says so", PATIENCE, async || {
        let ready = gateway.send(Request::new("GET", "/readyz")).await;
        let check = ready.json()["checks"][0].clone();
        ready.status == 503
            && check["name"] == "postgres"
            && check["ok"] == false
            && check["detail"].is_string()
    })
    .await;

    proxy.resume();
    until("readiness comes back", PATIENCE, async || {
        gateway.send(Request::new("GET", "/readyz")).await.status == 200
    })
    .await;
    manual.progress(&claimed[0], 1).await;
    manual.complete(&claimed[0]).await;
    let mut numbers = Vec::new();
    while let Some(event) = timeout(PATIENCE, stream.event())
        .await
        .expect("the stream ends")
    {
        numbers.extend(event.id);
    }
    assert_eq!(numbers, [3, 4], "the open stream missed nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_away_for_a_while() {
    let proxy = Proxy::start(RabbitMq::shared().port());
    let url = RabbitMq::shared().vhost().await;
    let settings = BrokerSettings::new(proxy.before(&url));
    let broker = Broker::connect(&settings).await.unwrap();
    let context = TestContext::with_broker(broker.clone()).await;
    let gateway = Gateway::on(context, |_| {}).await;
    // A coordinator sends webhooks over TLS, whose implementation is chosen once for a process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = CancellationToken::new();
    let coordinator = tokio::spawn(limekiln_coordinator::run(
        limekiln_coordinator::Settings::default(),
        gateway.context.store.clone(),
        broker.clone(),
        gateway.context.blobs.clone(),
        stop.clone(),
    ));

    proxy.refuse();
    until("a lost connection", PATIENCE, async || {
        !broker.is_connected()
    })
    .await;
    let edit = gateway.edit().await;
    assert_eq!(gateway.get(&format!("/v1/edits/{edit}")).await.status, 200);
    until("readiness says what is missing", PATIENCE, async || {
        let ready = gateway.send(Request::new("GET", "/readyz")).await;
        assert_eq!(ready.status, 200, "{}", ready.text());
        let ready = ready.json();
        assert_eq!(ready["checks"][1]["name"], "broker");
        ready["degraded"] == true && ready["checks"][1]["ok"] == false
    })
    .await;
    // A gateway that starts now serves as well.
    let late = BrokerSettings {
        in_background: true,
        ..settings
    };
    let late = Broker::connect(&late).await.unwrap();
    assert!(!late.is_connected());

    proxy.resume();
    let direct = Broker::connect(&BrokerSettings::new(url)).await.unwrap();
    let mut consumer = direct
        .consume(&[TestContext::model()], None, 1)
        .await
        .unwrap();
    let announced = timeout(PATIENCE, consumer.next()).await.unwrap().unwrap();
    assert_eq!(announced.hint.edit, edit);
    until("all are connected", PATIENCE, async || {
        late.is_connected() && broker.is_connected()
    })
    .await;
    stop.cancel();
    coordinator.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_away_for_a_while() {
    let s3 = S3::shared();
    let proxy = Proxy::start(s3.port());
    let mut settings = s3.settings(&s3.bucket());
    settings.endpoint = Some(proxy.before(s3.endpoint().as_str()).parse().unwrap());
    let blobs = Blobs::connect(&settings).await.unwrap();
    blobs.bucket_ensure().await.unwrap();
    let context = TestContext {
        blobs,
        ..TestContext::new().await
    };
    let gateway = Gateway::on(context, |_| {}).await;
    let image = gateway.image().await;
    proxy.refuse();
    let upload = gateway.request("POST", "/v1/images");
    for refused in [
        gateway
            .send(upload.body("image/png", pictures::mask(true)))
            .await,
        gateway.get(&format!("/v1/images/{image}/content")).await,
    ] {
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (503, "unavailable")
        );
        assert!(refused.header("retry-after").is_some());
    }
    // The rest works.
    assert_eq!(
        gateway.get(&format!("/v1/images/{image}")).await.status,
        200
    );
    let body = json!({"image": image, "instruction": "make the sofa red"});
    assert_eq!(gateway.post("/v1/edits", &body).await.status, 202);
    let ready = gateway.send(Request::new("GET", "/readyz")).await;
    assert_eq!(
        (ready.status, &ready.json()["degraded"]),
        (200, &json!(true))
    );
    proxy.resume();
    let path = format!("/v1/images/{image}/content");
    assert_eq!(gateway.get(&path).await.status, 200);
}

/// What Postgres says when it has no disk space left.
const FULL: &str = "create function full_disk() returns trigger language plpgsql as $$
    begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
    create trigger full_disk before insert on images for each row execute function full_disk();
    create trigger full_disk before insert on edits for each row execute function full_disk();";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_named() {
    let gateway = Gateway::start().await;
    let image = gateway.image().await;
    gateway.context.sql(FULL).await;
    let upload = gateway.request("POST", "/v1/images");
    let body = json!({"image": image, "instruction": "make the sofa red"});
    for refused in [
        gateway
            .send(upload.body("image/png", pictures::mask(true)))
            .await,
        gateway.post("/v1/edits", &body).await,
    ] {
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (503, "disk_full")
        );
        assert_eq!(refused.header("retry-after"), Some("30"));
        assert!(
            refused.json()["detail"]
                .as_str()
                .unwrap()
                .contains("Postgres")
        );
    }
    let ready = gateway.send(Request::new("GET", "/readyz")).await;
    let found = ready.json();
    let disk = found["checks"].as_array().unwrap().last().unwrap();
    assert_eq!((ready.status, &found["degraded"]), (200, &json!(true)));
    assert_eq!(disk["name"], "disk");
    assert!(
        disk["detail"]
            .as_str()
            .unwrap()
            .starts_with("Postgres had no disk space left")
    );
}
