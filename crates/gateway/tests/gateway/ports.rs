//! What strangers find on the public port, and operators on the status port.

use serde_json::json;

use crate::support::Gateway;
use crate::support::http::Request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_port_tells_strangers_nothing() {
    let gateway = Gateway::with(|settings| {
        settings.admin_public = false;
        settings.status_public = false;
    })
    .await;
    let ready = gateway.send(Request::new("GET", "/readyz")).await;
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true})));
    assert_eq!(
        gateway.send(Request::new("GET", "/healthz")).await.status,
        200
    );
    let admin = |path: &str| Request::new("GET", path).key(&gateway.admin);
    for path in ["/v1/admin/queues", "/v1/admin/tenants", "/metrics"] {
        let reply = gateway.send(admin(path)).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("--status"), "{path}: {detail}");
    }
    let described = gateway.get("/openapi.json").await.json();
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.contains_key("/v1/edits") && paths.contains_key("/readyz"));
    assert!(
        !paths.keys().any(|path| path.contains("admin")),
        "{paths:?}"
    );
    assert!(!paths.contains_key("/metrics"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_port_is_for_operators() {
    let gateway = Gateway::with(|settings| {
        settings.admin_public = false;
        settings.status_public = false;
    })
    .await;
    let get = |path: &str| Request::new("GET", path);
    let ready = gateway.send_status(get("/readyz")).await;
    let found = ready.json();
    assert_eq!(
        (ready.status, &found["ready"], &found["degraded"]),
        (200, &json!(true), &json!(false)),
        "{found}"
    );
    let names: Vec<_> = found["checks"].as_array().unwrap().iter().collect();
    assert_eq!(
        names.iter().map(|check| &check["name"]).collect::<Vec<_>>(),
        ["postgres", "broker", "blobs"]
    );
    let queues = || get("/v1/admin/queues");
    for (request, status) in [
        (queues(), 401),
        (queues().key(&gateway.key), 403),
        (queues().key(&gateway.admin), 200),
        (get("/v1/edits").key(&gateway.key), 404),
    ] {
        let line = request.line.clone();
        assert_eq!(gateway.send_status(request).await.status, status, "{line}");
    }
    let described = gateway.send_status(get("/openapi.json")).await.json();
    assert!(described["paths"]["/v1/admin/queues"]["get"].is_object());
}
