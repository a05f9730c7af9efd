//! Pages of other origins, and what else a client of another kind expects.

use limekiln_gateway::Origin;
use serde_json::json;

use crate::support::http::Request;
use crate::support::{Gateway, pictures};

const SHOP: &str = "https://shop.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_are_let_in_where_a_setting_says_so() {
    let closed = Gateway::start().await;
    let asked = |gateway: &Gateway| gateway.request("GET", "/v1/me").header("origin", SHOP);
    let reply = closed.send(asked(&closed)).await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, None)
    );

    let open = Gateway::with(|settings| {
        settings.origins = vec![
            SHOP.parse().unwrap(),
            "http://localhost:3000".parse().unwrap(),
        ];
    })
    .await;
    let preflight = |origin: &str| {
        Request::new("OPTIONS", "/v1/images/edits")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,x-stainless-os",
            )
    };
    let reply = open.send(preflight(SHOP)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP));
    let allowed = reply.header("access-control-allow-headers").unwrap();
    assert!(
        allowed.contains("authorization") && allowed.contains("x-stainless-os"),
        "{allowed}"
    );
    assert!(
        reply
            .header("access-control-allow-methods")
            .unwrap()
            .contains("PATCH,DELETE")
    );
    let reply = open.send(preflight("https://evil.example")).await;
    assert_eq!(reply.header("access-control-allow-origin"), None);

    // What was refused can be read, too.
    let reply = open.send(asked(&open)).await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, Some(SHOP))
    );
    let keyless = Request::new("GET", "/v1/me").header("origin", SHOP);
    let reply = open.send(keyless.clone()).await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (401, Some(SHOP))
    );
    // A key in a cookie is none, and browsers are told to send no cookies.
    for cookie in [
        format!("key={}", open.key),
        format!("authorization=Bearer {}", open.key),
    ] {
        let reply = open.send(keyless.clone().header("cookie", cookie)).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        assert_eq!(reply.header("set-cookie"), None);
    }
    let any = Gateway::with(|settings| settings.origins = vec![Origin::Any]).await;
    let reply = any.send(asked(&any)).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_shown_by_its_name() {
    let gateway = Gateway::start().await;
    let listed = gateway.get("/v1/models").await.json()["data"][0].clone();
    let shown = gateway.get("/v1/models/rooms").await;
    assert_eq!((shown.status, shown.json()), (200, listed));
    for name in ["nonesuch", "NO%20NAME", "%F0%9F%9B%8B"] {
        let reply = gateway.get(&format!("/v1/models/{name}")).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (404, "model_not_found")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_known_by_its_content() {
    let gateway = Gateway::start().await;
    let mut ids = Vec::new();
    for media_type in [
        Some("image/png"),
        Some("image/webp"),
        Some("application/x-www-form-urlencoded"),
        Some("text/plain; charset=utf-8"),
        None,
    ] {
        let mut request = gateway.request("POST", "/v1/images");
        request.body = pictures::room();
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let reply = gateway.send(request).await;
        assert_eq!(reply.status, 201, "{media_type:?}: {}", reply.text());
        assert_eq!(reply.json()["media_type"], "image/png");
        ids.push(reply.json()["id"].clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_field_is_named_and_nothing_long_is_repeated() {
    let gateway = Gateway::start().await;
    let image = gateway.image().await;
    let long = "x".repeat(5000);
    for (body, field) in [
        (json!({ "image": "no id", "instruction": "a" }), "image"),
        (json!({ "image": image, "instruction": 7 }), "instruction"),
        (json!({ "image": image }), "instruction"),
        (
            json!({ "image": image, "instruction": "a", "seed": long }),
            "seed",
        ),
        (
            json!({ "image": image, "instruction": "a", "size": "512" }),
            "size",
        ),
        (
            json!({ "image": image, "instruction": "a", "webhook": "here" }),
            "webhook",
        ),
        (
            json!({ "image": image, "instruction": "a", "sizee": 512 }),
            "sizee",
        ),
        (
            json!({ "image": image, "instruction": long }),
            "instruction",
        ),
    ] {
        let reply = gateway.post("/v1/edits", &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (422, "request_invalid"),
            "{field}"
        );
        let problem = reply.json();
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().len() < 400, "{problem}");
    }
}
