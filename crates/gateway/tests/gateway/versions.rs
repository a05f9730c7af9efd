//! A gateway beside processes of other versions.

use std::sync::Arc;
use std::time::Duration;

use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::api::Invalid;
use limekiln_jobs::{Needs, Resolved, Spec};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::Gateway;
use crate::support::http::{self, Request};

/// What an engine's crate of the future does: a preset with a field that needs a newer worker.
fn resolve(spec: &Spec) -> Result<Resolved, Invalid> {
    if spec.options.contains_key("colour") {
        return Err(Invalid::new("options", "no field colour"));
    }
    let sharpens = spec.options.contains_key("sharpen");
    let preset = json!({"from": spec.preset});
    Ok(Resolved {
        preset: preset.as_object().unwrap().clone(),
        needs: sharpens.then_some("preset.sharpen").into_iter().collect(),
        ..Resolved::default()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preset_is_resolved_once_and_shown_as_it_was_sent() {
    let gateway = Gateway::with(|settings| settings.resolve = Some(Arc::new(resolve))).await;
    let image = gateway.image().await;
    let body = |options: Value| json!({"image": image, "instruction": "make it snowy", "preset": "paper", "options": options});
    let refused = gateway.post("/v1/edits", &body(json!({"colour": 1}))).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (422, Some("options_invalid"))
    );
    for (options, needs) in [(json!({}), 0), (json!({"sharpen": 1}), 1)] {
        let submit = async || {
            let request = gateway
                .request("POST", "/v1/edits")
                .json(&body(options.clone()));
            gateway
                .send(request.header("idempotency-key", format!("key-{needs}")))
                .await
        };
        let accepted = submit().await;
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        let id = accepted.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(submit().await.json()["id"], id);
        let view = gateway.get(&format!("/v1/edits/{id}")).await.json();
        assert_eq!(view["preset"], "paper");
        let stored = format!(
            "select count(*) from edits where id = '{id}' and cardinality(needs) = {needs} and spec->>'preset' = 'paper'
                and spec->'resolved'->>'from' = 'paper' and coalesce(spec->'options', '{{}}') = '{options}'"
        );
        assert_eq!(gateway.context.number(&stored).await, 1);
    }
    // What no worker can do, operators see.
    gateway.context.worker_register(2).await;
    let request = Request::new("GET", "/v1/admin/queues").key(&gateway.admin);
    let queues = gateway.send(request).await.json();
    let queue = &queues["queues"][0];
    assert_eq!((&queue["queued"], &queue["unable"]), (&json!(2), &json!(1)));
    assert_eq!(queue["unable_needs"], json!(["preset.sharpen"]));
    let request = Request::new("GET", "/v1/admin/workers").key(&gateway.admin);
    let workers = gateway.send(request).await.json();
    assert_eq!(workers["workers"][0]["can"], json!(Spec::LATER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_the_future_are_shown_and_not_asked_for() {
    let gateway = Gateway::start().await;
    let (edit, other) = (gateway.edit().await, gateway.edit().await);
    let context: &TestContext = &gateway.context;
    context
        .sql(&format!(
            "alter table edits drop constraint edits_class_check; alter table edits drop constraint edits_state_check;
             alter table edit_events drop constraint edit_events_kind_check;
             update edits set class = 'overnight', state = 'paused' where id = '{edit}';
             update edit_events set kind = 'paused' where edit_id = '{edit}'"
        ))
        .await;
    let page = gateway.get("/v1/edits").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let edits = page.json()["edits"].as_array().unwrap().clone();
    assert_eq!(edits.len(), 2);
    assert_eq!(edits[0]["id"], other.to_string());
    assert_eq!(
        (&edits[1]["class"], &edits[1]["state"]),
        (&json!("overnight"), &json!("paused"))
    );
    assert_eq!(gateway.get("/v1/edits?state=paused").await.status, 400);
    let asked = json!({"image": gateway.image().await, "instruction": "make it snowy", "class": "overnight"});
    let refused = gateway.post("/v1/edits", &asked).await;
    assert!([400, 422].contains(&refused.status), "{}", refused.text());
    // A client learns from the description that there may be others.
    let served = gateway
        .send(Request::new("GET", "/openapi.json"))
        .await
        .json();
    let schemas = &served["components"]["schemas"];
    for name in [
        "ArtifactKind",
        "Class",
        "EventKind",
        "FailureClass",
        "StateName",
    ] {
        let schema = &schemas[name];
        assert!(
            schema["x-extensible-enum"]
                .as_array()
                .is_some_and(|known| !known.is_empty()),
            "{name}: {schema}"
        );
        assert!(schema.get("enum").is_none(), "{name}: {schema}");
        assert!(
            schema["description"]
                .as_str()
                .unwrap()
                .contains("Later versions may add values")
        );
    }
    assert_eq!(
        schemas["EditRequest"]["properties"]["class"]["enum"],
        json!(["interactive", "bulk"])
    );
    let needs: Needs = serde_json::from_value(json!(["b", "a"])).unwrap();
    assert_eq!(serde_json::to_value(needs).unwrap(), json!(["a", "b"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_an_end_of_the_future() {
    let gateway =
        Gateway::with(|settings| settings.timeouts.poll = Duration::from_millis(20)).await;
    let edit = gateway.edit().await;
    let watch = || gateway.request("GET", &format!("/v1/edits/{edit}/events"));
    let (head, mut stream) = http::open(gateway.address, watch()).await;
    assert_eq!(head.status, 200);
    gateway
        .context
        .sql(&format!(
            "alter table edits drop constraint edits_ended; alter table edits drop constraint edits_state_check;
             alter table edit_events drop constraint edit_events_kind_check;
             update edits set state = 'expired', seq = seq + 1, finished_at = now() where id = '{edit}'"
        ))
        .await;
    let rest = async {
        let mut kinds = Vec::new();
        while let Some(event) = stream.event().await {
            kinds.push(event.kind);
        }
        kinds
    };
    let kinds = timeout(PATIENCE / 2, rest).await.expect("an end");
    assert_eq!(kinds, ["queued", "expired"]);
    let again = watch().header("last-event-id", "2");
    assert_eq!(gateway.send(again).await.status, 204);
}
