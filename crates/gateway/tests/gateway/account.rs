//! Limits, models, admin routes, probes.

use limekiln_jobs::{Failure, FailureClass};
use limekiln_store::Limits;
use serde_json::json;

use crate::support::Gateway;
use crate::support::http::Request;
use crate::support::worker::ManualWorker;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_a_tenant() {
    let gateway = Gateway::start().await;
    let image = gateway.image().await;
    let body = json!({"image": image, "instruction": "make the sofa red"});
    let limits = Limits {
        rate_per_second: 1000.0,
        rate_burst: 1000,
        in_flight: 2,
        ..Limits::UNLIMITED
    };
    gateway
        .context
        .store
        .tenant_limits_set(gateway.tenant, &limits)
        .await
        .unwrap();
    assert_eq!(gateway.post("/v1/edits", &body).await.status, 202);
    assert_eq!(gateway.post("/v1/edits", &body).await.status, 202);
    let third = gateway.post("/v1/edits", &body).await;
    assert_eq!(
        (third.status, third.code().as_str()),
        (429, "in_flight_limit")
    );
    assert!(third.header("retry-after").is_some());

    let limits = Limits {
        rate_per_second: 0.01,
        rate_burst: 1,
        in_flight: 100,
        ..Limits::UNLIMITED
    };
    gateway
        .context
        .store
        .tenant_limits_set(gateway.tenant, &limits)
        .await
        .unwrap();
    let mut statuses = Vec::new();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let reply = gateway.post("/v1/edits", &body).await;
        statuses.push(reply.status);
        waits.extend(
            reply
                .header("retry-after")
                .map(|text| text.parse::<u64>().unwrap()),
        );
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    assert!(
        waits.last().is_some_and(|wait| (2..=100).contains(wait)),
        "{waits:?}"
    );

    let me = gateway.get("/v1/me").await.json();
    assert_eq!(
        (&me["name"], &me["role"], &me["limits"]["in_flight"]),
        (&json!("acme"), &json!("tenant"), &json!(100))
    );
    assert!(me["in_flight"].as_u64().unwrap() >= 2);
    assert_eq!(me["used"]["in_flight"], me["in_flight"]);
    assert!(me["used"]["stored_bytes"].as_u64().unwrap() > 0);
    assert_eq!(
        me["used"]["stored_bytes"],
        me["used"]["uploaded_bytes_today"]
    );
    assert_eq!(
        (&me["limits"]["stored_bytes"], &me["limits"]["streams"]),
        (&json!(null), &json!(512))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_keys_stop_working() {
    let gateway =
        Gateway::with(|settings| settings.timeouts.key_cache = std::time::Duration::ZERO).await;
    let key = gateway
        .context
        .store
        .key_create(gateway.tenant, limekiln_jobs::api::Role::Tenant, "short")
        .await
        .unwrap();
    let get = || Request::new("GET", "/v1/me").key(key.secret.expose());
    assert_eq!(gateway.send(get()).await.status, 200);
    assert!(gateway.context.store.key_revoke(key.id).await.unwrap());
    let refused = gateway.send(get()).await;
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some("Bearer"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_those_configured_and_those_held() {
    let gateway = Gateway::start().await;
    let models = gateway.get("/v1/models").await.json();
    assert_eq!(models["data"][0]["id"], "rooms");
    assert_eq!(
        (&models["data"][0]["default"], &models["data"][0]["workers"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(models["presets"], json!(["fast", "paper"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_see_and_do() {
    let gateway = Gateway::start().await;
    let admin = |method: &str, path: &str| Request::new(method, path).key(&gateway.admin);
    let mut manual = ManualWorker::new(&gateway).await;
    let image = gateway.image().await;
    let body = json!({"image": image, "instruction": "make the sofa red", "max_attempts": 1});
    let edit = gateway.post("/v1/edits", &body).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let queues = gateway.send(admin("GET", "/v1/admin/queues")).await.json();
    assert_eq!(
        (&queues["paused"], &queues["queues"][0]["queued"]),
        (&json!(false), &json!(1))
    );
    let workers = gateway.send(admin("GET", "/v1/admin/workers")).await.json();
    assert_eq!(
        (
            &workers["workers"][0]["name"],
            &workers["workers"][0]["alive"]
        ),
        (&json!("test"), &json!(true))
    );
    let worker = workers["workers"][0]["id"].as_str().unwrap().to_owned();

    assert_eq!(
        gateway.send(admin("POST", "/v1/admin/pause")).await.json()["paused"],
        true
    );
    assert!(manual.claim().await.is_empty(), "nothing is released");
    assert_eq!(
        gateway.send(admin("POST", "/v1/admin/resume")).await.json()["paused"],
        false
    );
    let claimed = manual.claim().await;
    let retry = format!("/v1/admin/edits/{edit}/retry");
    assert_eq!(
        gateway.send(admin("POST", &retry)).await.code(),
        "edit_not_failed"
    );
    manual
        .fail(
            &claimed[0],
            Failure::new(FailureClass::Internal, "worker_died", "it died"),
        )
        .await;
    let failed = gateway.get(&format!("/v1/edits/{edit}")).await.json();
    assert_eq!(
        (&failed["state"], &failed["error"]["code"]),
        (&json!("failed"), &json!("worker_died"))
    );
    let dead = gateway
        .send(admin("GET", "/v1/admin/dead-letters?limit=10"))
        .await
        .json();
    assert_eq!(
        (&dead["dead_letters"][0]["edit"], &dead["next"]),
        (&json!(edit), &json!(null))
    );
    let retried = gateway.send(admin("POST", &retry)).await;
    assert_eq!(
        (retried.status, &retried.json()["edit"]),
        (200, &json!(edit))
    );
    assert_eq!(manual.claim().await.len(), 1, "it runs again");

    assert_eq!(
        gateway
            .send(admin("POST", &format!("/v1/admin/workers/{worker}/drain")))
            .await
            .json()["workers"],
        1
    );
    let unknown = limekiln_jobs::WorkerId::new();
    assert_eq!(
        gateway
            .send(admin("POST", &format!("/v1/admin/workers/{unknown}/drain")))
            .await
            .code(),
        "worker_not_found"
    );
    assert_eq!(
        gateway.send(admin("POST", "/v1/admin/drain")).await.status,
        200
    );
    let workers = gateway.send(admin("GET", "/v1/admin/workers")).await.json();
    assert_eq!(workers["workers"][0]["draining"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_but_the_description_is_kept_from_caches_and_sniffers() {
    let gateway = Gateway::start().await;
    assert_eq!(
        gateway.send(Request::new("GET", "/healthz")).await.text(),
        "ok\n"
    );
    let ready = gateway.send(Request::new("GET", "/readyz")).await;
    assert_eq!(
        (ready.status, &ready.json()["ready"]),
        (200, &json!(true)),
        "{}",
        ready.text()
    );
    assert_eq!(
        gateway.send(Request::new("GET", "/metrics")).await.code(),
        "not_found",
        "none was installed"
    );
    let docs = gateway.send(Request::new("GET", "/docs")).await;
    assert_eq!(
        docs.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        docs.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert_eq!(
        gateway
            .send_status(Request::new("GET", "/"))
            .await
            .header("location"),
        Some("/fleet")
    );
    assert_eq!(docs.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(docs.header("x-request-id").map(str::len), Some(36));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_of_webhooks_is_shown_and_replaced() {
    let gateway = Gateway::start().await;
    let secret = async |gateway: &Gateway| gateway.get("/v1/webhooks/secret").await.json();
    let first = secret(&gateway).await;
    assert_eq!(first["former"], json!(null));
    assert!(first["secret"].as_str().unwrap().starts_with("whsec_"));
    let rotate = async |query: &str| {
        let path = format!("/v1/webhooks/secret/rotate{query}");
        gateway.send(gateway.request("POST", &path)).await
    };
    for wrong in ["?overlap_hours=169", "?overlap_hours=-1", "?hours=1"] {
        assert_eq!(rotate(wrong).await.code(), "parameter_invalid", "{wrong}");
    }
    assert_eq!(secret(&gateway).await, first);
    let second = rotate("").await.json();
    assert_ne!(second["secret"], first["secret"]);
    assert_eq!(second["former"]["secret"], first["secret"]);
    let again = rotate("").await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (409, "secret_rotating")
    );
    assert_eq!(secret(&gateway).await, second);
    let third = rotate("?overlap_hours=0").await.json();
    assert_eq!(third["former"], json!(null));
    assert_eq!(secret(&gateway).await, third);
    // Each tenant has its own, and nobody's is for strangers.
    let other = Request::new("GET", "/v1/webhooks/secret").key(&gateway.other);
    assert_ne!(gateway.send(other).await.json()["secret"], third["secret"]);
    let nobody = Request::new("GET", "/v1/webhooks/secret");
    assert_eq!(gateway.send(nobody).await.status, 401);
}
