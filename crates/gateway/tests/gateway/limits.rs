//! One tenant's key shuts nobody out, and whoever is limited is told how.

use std::time::Duration;

use limekiln_fixture::PATIENCE;
use limekiln_store::Limits;
use limekiln_testbed::until;
use serde_json::json;
use tokio::time::timeout;

use crate::bad_input::form;
use crate::support::http::{self, Open, Reply, Request};
use crate::support::{Gateway, pictures};

/// The three headers as numbers.
fn quota(reply: &Reply) -> [u64; 3] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(|name| {
        let value = reply.header(name);
        value
            .unwrap_or_else(|| panic!("{name} is missing: {reply:?}"))
            .parse()
            .unwrap()
    })
}

fn retry_after(reply: &Reply) -> u64 {
    reply.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_tenant_leave_room_for_others() {
    let gateway = Gateway::with(|settings| settings.limits.watchers = 8).await;
    let (ours, theirs) = (gateway.edit().await, other_edit(&gateway).await);
    let open = async |edit: &str, key: &str| -> (Reply, Open) {
        let request = Request::new("GET", &format!("/v1/edits/{edit}/events")).key(key);
        http::open(gateway.address, request).await
    };
    let ours = ours.to_string();
    let mut streams = Vec::new();
    for _ in 0..2 {
        let (head, stream) = open(&ours, &gateway.key).await;
        assert_eq!(head.status, 200);
        streams.push(stream);
    }
    let refused = gateway.get(&format!("/v1/edits/{ours}/events")).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "stream_limit")
    );
    assert_eq!((quota(&refused), retry_after(&refused)), ([2, 0, 1], 1));
    assert_eq!(open(&theirs, &gateway.other).await.0.status, 200);
    streams.clear();
    until("room again", PATIENCE, async || {
        open(&ours, &gateway.key).await.0.status == 200
    })
    .await;
}

/// Sends the same unfinished request again and again until one is refused. Those before wait for the rest of their bodies.
async fn stall(gateway: &Gateway, slow: &Request) -> (Vec<Open>, Reply) {
    let mut stalled = Vec::new();
    loop {
        assert!(stalled.len() < 32, "one tenant holds everything");
        let mut open = Open::connect(gateway.address).await;
        open.write(&slow.bytes(), false).await;
        let answered = timeout(Duration::from_millis(200), async {
            let mut reply = open.head().await;
            reply.body = open.rest(&reply).await;
            reply
        });
        if let Ok(reply) = answered.await {
            return (stalled, reply);
        }
        stalled.push(open);
    }
}

async fn other_edit(gateway: &Gateway) -> String {
    let upload = Request::new("POST", "/v1/images").key(&gateway.other);
    let image = gateway
        .send(upload.body("image/png", pictures::room()))
        .await;
    let body = json!({"image": image.json()["id"], "instruction": "make the sofa red"});
    let submit = Request::new("POST", "/v1/edits").key(&gateway.other);
    let edit = gateway.send(submit.json(&body)).await.json();
    edit["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_uploads_of_one_tenant_leave_room_for_others() {
    let gateway = Gateway::with(|settings| settings.limits.requests = 8).await;
    let slow = Request::new("POST", "/v1/images").key(&gateway.key);
    let slow = slow.body("image/png", "half").length(1000);
    let (stalled, refused) = stall(&gateway, &slow).await;
    assert_eq!(
        (refused.status, refused.code().as_str(), quota(&refused)[0]),
        (429, "concurrency_limit", 2)
    );
    let theirs = Request::new("GET", "/v1/me").key(&gateway.other);
    assert_eq!(gateway.send(theirs).await.status, 200);
    drop(stalled);
    until("room again", PATIENCE, async || {
        gateway.get("/v1/me").await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_of_one_tenant_leave_memory_for_others() {
    let gateway = Gateway::with(|settings| {
        settings.limits.upload_memory_bytes = 64 << 20;
        settings.limits.upload_bytes = 3 << 20;
        settings.timeouts.memory = Duration::from_millis(50);
    })
    .await;
    // A quarter of it holds no more than five of these, of which nothing more comes.
    let slow = Request::new("POST", "/v1/images").key(&gateway.key);
    let slow = slow.body("image/png", vec![b'x'; 5 << 19]).length(3 << 20);
    let (_stalled, refused) = stall(&gateway, &slow).await;
    assert_eq!((refused.status, quota(&refused)[0]), (429, 16 << 20));
    let theirs = Request::new("POST", "/v1/images").key(&gateway.other);
    let theirs = theirs.body("image/png", pictures::room());
    assert_eq!(gateway.send(theirs).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_waits_for_its_turn_behind_others_of_its_tenant() {
    let gateway = Gateway::with(|settings| {
        settings.limits.upload_memory_bytes = 64 << 20;
        settings.limits.upload_bytes = 7 << 20;
        settings.timeouts.memory = PATIENCE;
    })
    .await;
    // Five of them are more than the tenant's share.
    let mut png = pictures::room();
    png.resize(7 << 20, 0);
    let upload = || {
        let request = gateway.request("POST", "/v1/images");
        request.body("image/png", png.clone())
    };
    let bytes = upload().bytes();
    let (most, last) = bytes.split_at(bytes.len() - 1);
    let mut stalled = Vec::new();
    for _ in 0..4 {
        let mut open = Open::connect(gateway.address).await;
        open.write(most, false).await;
        stalled.push(open);
    }
    let fifth = tokio::spawn(http::send(gateway.address, upload()));
    for open in &mut stalled {
        open.write(last, false).await;
        assert_eq!(open.head().await.status, 201);
    }
    assert_eq!(fifth.await.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_of_one_tenant_leave_room_for_others() {
    let gateway = Gateway::with(|settings| settings.limits.openai_waits = 4).await;
    let room = pictures::room();
    let request = |key: &str| {
        let parts: [(&str, &[u8]); 2] = [
            (r#"name="image"; filename="room.png""#, &room),
            (r#"name="prompt""#, b"make the sofa red"),
        ];
        Request::new("POST", "/v1/images/edits")
            .key(key)
            .body("multipart/form-data; boundary=cut", form(&parts))
    };
    let ours = tokio::spawn(http::send(gateway.address, request(&gateway.key)));
    let theirs = tokio::spawn(http::send(gateway.address, request(&gateway.other)));
    let queued = "select count(*) from edits where state = 'queued'";
    until("both wait", PATIENCE, async || {
        gateway.context.number(queued).await == 2
    })
    .await;
    let refused = gateway.send(request(&gateway.key)).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (429, &json!("rate_limit_exceeded"))
    );
    assert_eq!((quota(&refused), retry_after(&refused)), ([1, 0, 1], 1));
    ours.abort();
    theirs.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_key_has_a_bucket_of_requests() {
    let gateway = Gateway::start().await;
    gateway
        .limit(Limits {
            requests_per_second: 0.01,
            requests_burst: 3,
            ..Limits::UNLIMITED
        })
        .await;
    for left in [2, 1, 0] {
        let reply = gateway.get("/v1/me").await;
        assert_eq!(reply.status, 200);
        assert_eq!(quota(&reply)[..2], [3, left]);
    }
    let refused = gateway.get("/v1/me").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "request_rate_limit")
    );
    let (left, wait) = (quota(&refused), retry_after(&refused));
    assert_eq!(left[..2], [3, 0]);
    assert!((90..=100).contains(&wait) && left[2] > 200, "{refused:?}");
    let other = Request::new("GET", "/v1/me").key(&gateway.admin);
    assert_eq!(
        gateway.send(other).await.status,
        200,
        "the tenant's other key"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_and_storage_are_bounded() {
    let gateway = Gateway::with(|settings| settings.timeouts.key_cache = Duration::ZERO).await;
    let image = gateway.image().await;
    let used = gateway.get("/v1/me").await.json()["used"].clone();
    let stored = used["stored_bytes"].as_u64().unwrap();
    assert_eq!(stored, pictures::room().len() as u64);
    let upload = || {
        let request = gateway.request("POST", "/v1/images");
        request.body("image/png", pictures::mask(true))
    };
    gateway
        .limit(Limits {
            upload_bytes_daily: Some(stored + 10),
            ..Limits::UNLIMITED
        })
        .await;
    let refused = gateway.send(upload()).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "upload_limit")
    );
    assert_eq!(quota(&refused)[..2], [stored + 10, 10]);
    assert!((1..=86_401).contains(&retry_after(&refused)));

    gateway
        .limit(Limits {
            stored_bytes: Some(stored),
            ..Limits::UNLIMITED
        })
        .await;
    let body = json!({"image": image, "instruction": "make the sofa red"});
    for refused in [
        gateway.send(upload()).await,
        gateway.post("/v1/edits", &body).await,
    ] {
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "storage_limit")
        );
    }
    gateway.limit(Limits::UNLIMITED).await;
    assert_eq!(gateway.send(upload()).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_set_limits() {
    let gateway = Gateway::start().await;
    let admin = |method: &str, path: &str| Request::new(method, path).key(&gateway.admin);
    let first = gateway
        .send(admin("GET", "/v1/admin/tenants?limit=1"))
        .await
        .json();
    assert_eq!(first["tenants"].as_array().unwrap().len(), 1);
    let rest = format!(
        "/v1/admin/tenants?cursor={}",
        first["next"].as_str().unwrap()
    );
    let rest = gateway.send(admin("GET", &rest)).await.json();
    let acme = rest["tenants"].as_array().unwrap().iter();
    let acme = acme
        .clone()
        .find(|tenant| tenant["name"] == "acme")
        .unwrap();
    assert_eq!(acme["keys"].as_array().unwrap().len(), 2);
    let mut limits = acme["limits"].clone();
    limits["stored_bytes"] = json!(12345);
    let path = format!("/v1/admin/tenants/{}/limits", acme["id"].as_str().unwrap());
    let set = gateway.send(admin("PUT", &path).json(&limits)).await;
    assert_eq!((set.status, &set.json()["limits"]), (200, &limits));
    limits["requests_burst"] = json!(0);
    let refused = gateway.send(admin("PUT", &path).json(&limits)).await;
    assert_eq!(refused.code(), "request_invalid");
    limits["requests_burst"] = json!(1);
    let nobody = format!(
        "/v1/admin/tenants/{}/limits",
        limekiln_jobs::TenantId::new()
    );
    let refused = gateway.send(admin("PUT", &nobody).json(&limits)).await;
    assert_eq!(refused.code(), "tenant_not_found");
}
