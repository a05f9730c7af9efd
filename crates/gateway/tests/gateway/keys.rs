//! Keys end: revoked, expired; and what they cost.

use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::StateName;
use limekiln_jobs::api::Role;
use limekiln_store::NewKey;
use limekiln_testbed::{Postgres, Proxy, until};
use tokio::time::timeout;

use crate::bad_input::form;
use crate::support::http::{self, Request};
use crate::support::{Gateway, pictures};

async fn key(gateway: &Gateway) -> NewKey {
    let store = &gateway.context.store;
    let key = store
        .key_create(gateway.tenant, Role::Tenant, "short")
        .await;
    key.unwrap()
}

async fn watchful() -> Gateway {
    Gateway::with(|settings| settings.timeouts.key_cache = Duration::from_millis(50)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_key() {
    let gateway = watchful().await;
    let edit = gateway.edit().await;
    let follow = async |key: &str| {
        let request = Request::new("GET", &format!("/v1/edits/{edit}/events")).key(key);
        let (head, mut stream) = http::open(gateway.address, request).await;
        assert_eq!(head.status, 200);
        assert_eq!(stream.event().await.unwrap().id, Some(1));
        stream
    };
    let (revoked, expired) = (key(&gateway).await, key(&gateway).await);
    let mut with_revoked = follow(revoked.secret.expose()).await;
    let mut with_expired = follow(expired.secret.expose()).await;
    let mut with_ours = follow(&gateway.key).await;
    assert!(gateway.context.store.key_revoke(revoked.id).await.unwrap());
    let end = timeout(PATIENCE, with_revoked.event()).await;
    assert!(end.expect("the stream ends").is_none());
    let expire = format!(
        "update api_keys set expires_at = now() where id = '{}'",
        expired.id
    );
    gateway.context.sql(&expire).await;
    let end = timeout(PATIENCE, with_expired.event()).await;
    assert!(end.expect("the stream ends").is_none());
    let again = Request::new("GET", "/v1/me").key(expired.secret.expose());
    until("an expired key is refused", PATIENCE, async || {
        gateway.send(again.clone()).await.status == 401
    })
    .await;
    // Another key's stream goes on.
    let cancel = gateway
        .request("POST", &format!("/v1/edits/{edit}/cancel"))
        .json(&serde_json::json!({}));
    assert_eq!(gateway.send(cancel).await.status, 200);
    let last = timeout(PATIENCE, with_ours.event()).await.unwrap();
    assert_eq!(last.unwrap().kind, "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_pictures_ends_with_its_key() {
    let gateway = watchful().await;
    let key = key(&gateway).await;
    let room = pictures::room();
    let parts: [(&str, &[u8]); 2] = [
        (r#"name="image"; filename="room.png""#, &room),
        (r#"name="prompt""#, b"make the sofa red"),
    ];
    let request = Request::new("POST", "/v1/images/edits")
        .key(key.secret.expose())
        .body("multipart/form-data; boundary=cut", form(&parts));
    let waiting = tokio::spawn(http::send(gateway.address, request));
    let edits = async |state: StateName| {
        let path = format!("/v1/edits?state={state}");
        let edits = gateway.get(&path).await.json();
        edits["edits"].as_array().unwrap().len()
    };
    until("the edit waits", PATIENCE, async || {
        edits(StateName::Queued).await == 1
    })
    .await;
    assert!(gateway.context.store.key_revoke(key.id).await.unwrap());
    let reply = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (401, &serde_json::json!("invalid_api_key"))
    );
    until("nobody waits for the edit", PATIENCE, async || {
        edits(StateName::Cancelled).await == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_key_costs_no_query() {
    let proxy = Proxy::start(Postgres::shared().port());
    let url = proxy.before(&limekiln_fixture::database().await);
    let context = TestContext::with_database(url, Broker::local()).await;
    let gateway = Gateway::on(context, |_| {}).await;
    let get = |key: &str| Request::new("GET", "/v1/me").key(key);
    let unknown = format!("lk_{}", "1".repeat(64));
    assert_eq!(gateway.send(get(&unknown)).await.status, 401);
    proxy.refuse();
    for text in ["lk_1", "sk-1234", &format!("lk_{}", "g".repeat(64))] {
        assert_eq!(gateway.send(get(text)).await.status, 401, "{text}");
    }
    assert_eq!(gateway.send(get(&unknown)).await.status, 401, "remembered");
    let other = format!("lk_{}", "2".repeat(64));
    assert_eq!(gateway.send(get(&other)).await.status, 503, "asked about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_use_of_a_key_is_written_now_and_then() {
    let gateway =
        Gateway::with(|settings| settings.timeouts.key_use = Duration::from_millis(20)).await;
    let tenants = || Request::new("GET", "/v1/admin/tenants").key(&gateway.admin);
    let used = async || {
        let tenants = gateway.send(tenants()).await.json();
        let tenants = tenants["tenants"].as_array().unwrap().clone();
        let keys = tenants
            .iter()
            .flat_map(|tenant| tenant["keys"].as_array().unwrap());
        keys.filter(|key| key["used_at"].is_string()).count()
    };
    until("the admin's key was used", PATIENCE, async || {
        used().await == 1
    })
    .await;
    assert_eq!(gateway.get("/v1/me").await.status, 200);
    until("the tenant's was as well", PATIENCE, async || {
        used().await == 2
    })
    .await;
}
