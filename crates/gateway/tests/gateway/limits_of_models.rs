//! What edits may ask for: announced by workers, checked before an edit is queued.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use limekiln_fixture::{NEVER, PATIENCE, TestContext};
use limekiln_jobs::api::ModelLimits;
use limekiln_jobs::{Cost, Resolved, Spec};
use limekiln_store::NewWorker;
use serde_json::{Value, json};

use crate::bad_input::form;
use crate::support::http::Request;
use crate::support::{Gateway, pictures};

const LIMITS: ModelLimits = ModelLimits {
    size: 128,
    size_max: 256,
    rows_max: 600,
    distances_max: 1000,
};

/// A worker that announces this.
async fn announce(gateway: &Gateway, limits: ModelLimits) {
    let context = &gateway.context;
    let worker = NewWorker {
        id: context.worker,
        name: "test".to_owned(),
        models: vec![TestContext::model()],
        slots: 1,
        version: "0".to_owned(),
        device: "cpu".to_owned(),
        can: Default::default(),
        limits: [(TestContext::model(), limits)].into(),
    };
    context.store.worker_register(&worker, NEVER).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_workers_take_bounds_what_edits_ask_for() {
    // An edit costs what its options say.
    let gateway = Gateway::with(|settings| {
        settings.resolve = Some(Arc::new(|spec: &Spec| {
            let cost = |name: &str| spec.options.get(name).and_then(Value::as_u64).unwrap_or(0);
            Ok(Resolved {
                cost: Cost {
                    rows: cost("rows"),
                    distances: cost("distances"),
                },
                ..Resolved::default()
            })
        }));
    })
    .await;
    announce(&gateway, LIMITS).await;
    let shown = async || gateway.get("/v1/models").await.json()["data"][0]["limits"].clone();
    limekiln_testbed::until("the announcement", PATIENCE, async || {
        shown().await["size_max"] == 256
    })
    .await;
    let image = gateway.image().await;
    let submit = async |size: Option<u32>, rows: u64, distances: u64| {
        let body = json!({
            "image": image, "instruction": "make the sofa red", "size": size,
            "options": {"rows": rows, "distances": distances},
        });
        gateway.post("/v1/edits", &body).await
    };
    for (size, rows, distances, field, says) in [
        (Some(257), 1, 1, "size", "at most 256"),
        (None, 601, 1, "options", "at most 600"),
        (Some(256), 151, 1, "options", "604 rows"),
        (None, 1, 1001, "options", "at most 1000"),
    ] {
        let reply = submit(size, rows, distances).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (422, "request_invalid")
        );
        assert_eq!(reply.json()["errors"][0]["field"], field);
        assert!(reply.text().contains(says), "{}", reply.text());
    }
    for (size, rows, distances) in [(Some(256), 150, 1000), (None, 600, 0), (Some(64), 2400, 0)] {
        assert_eq!(submit(size, rows, distances).await.status, 202);
    }

    // The least of all that live, and the last known once none does.
    worker_gone(&gateway).await;
    assert_eq!(submit(Some(257), 1, 1).await.status, 422);
}

/// The worker is gone, and the gateway knows that.
async fn worker_gone(gateway: &Gateway) {
    gateway
        .context
        .store
        .worker_gone(gateway.context.worker)
        .await
        .unwrap();
    limekiln_testbed::until("nobody holds it", PATIENCE, async || {
        gateway.get("/v1/models").await.json()["data"][0]["workers"] == 0
    })
    .await;
}

/// A form for a picture of this size by this preset.
fn form_of(gateway: &Gateway, size: &str, preset: &str, key: &str) -> Request {
    let room = pictures::room();
    let parts: [(&str, &[u8]); 4] = [
        (r#"name="image"; filename="room.png""#, &room),
        (r#"name="prompt""#, b"make the sofa red"),
        (r#"name="size""#, size.as_bytes()),
        (r#"name="preset""#, preset.as_bytes()),
    ];
    gateway
        .request("POST", "/v1/images/edits")
        .body("multipart/form-data; boundary=cut", form(&parts))
        .header("idempotency-key", key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_is_answered_whatever_the_limits_are_by_now() {
    let rows = Arc::new(AtomicU64::new(1));
    let costs = rows.clone();
    let gateway = Gateway::with(|settings| {
        settings.timeouts.openai_wait = Duration::from_millis(50);
        settings.timeouts.key_cache = Duration::ZERO;
        settings.resolve = Some(Arc::new(move |_: &Spec| {
            Ok(Resolved {
                cost: Cost {
                    rows: costs.load(Ordering::Relaxed),
                    distances: 0,
                },
                ..Resolved::default()
            })
        }));
    })
    .await;
    let body = json!({"image": gateway.image().await, "instruction": "make the sofa red"});
    let submit = async |key: &str| {
        let post = gateway.request("POST", "/v1/edits").json(&body);
        gateway.send(post.header("idempotency-key", key)).await
    };
    let ask = async |key: &str| {
        let form = form_of(&gateway, "512x512", "fast", key);
        gateway.send(form).await.status
    };
    let first = submit("k").await;
    assert_eq!((first.status, ask("k").await), (202, 504));
    let edits = "select count(*) from edits";

    rows.store(1_000_000, Ordering::Relaxed);
    assert_eq!(
        (submit("other").await.status, ask("other").await),
        (422, 422)
    );
    assert_eq!(
        (submit("k").await.body, ask("k").await),
        (first.body.clone(), 504)
    );

    rows.store(1, Ordering::Relaxed);
    let full = limekiln_store::Limits {
        stored_bytes: Some(1),
        ..limekiln_store::Limits::UNLIMITED
    };
    gateway.limit(full).await;
    assert_eq!(
        (submit("other").await.status, ask("other").await),
        (403, 403)
    );
    assert_eq!((submit("k").await.body, ask("k").await), (first.body, 504));
    assert_eq!(gateway.context.number(edits).await, 2);
}
