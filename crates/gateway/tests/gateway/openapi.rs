//! The API's description agrees with itself. Whether the gateway agrees with it, schemathesis finds out (`tests/http`).

use std::collections::BTreeSet;

use limekiln_jobs::{EditId, Epoch, Live, SessionId};
use serde_json::Value;

use crate::support::Gateway;
use crate::support::http::Request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_is_whole() {
    let gateway = Gateway::start().await;
    let served = gateway
        .send(Request::new("GET", "/openapi.json"))
        .await
        .json();
    assert_eq!(served, limekiln_gateway::openapi(&gateway.state));
    let mut ids = BTreeSet::new();
    let mut operations = 0;
    for (path, item) in served["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{method} {path}: an id twice"
            );
            assert!(
                operation["summary"].is_string() && operation.get("x-problems").is_none(),
                "{method} {path}"
            );
            let open = operation["tags"][0] == "operations";
            assert_eq!(
                operation["responses"].get("401").is_none(),
                open,
                "{method} {path}"
            );
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(
                    !response["description"].as_str().unwrap().is_empty(),
                    "{method} {path} {status}"
                );
            }
        }
    }
    assert_eq!(operations, 82);
    let missing = &served["paths"]["/v1/edits/{id}"]["get"]["responses"]["404"]["description"];
    assert!(missing.as_str().unwrap().contains("`edit_not_found`"));
    let mut references = Vec::new();
    collect(&served, &mut references);
    for reference in references {
        assert!(
            served.pointer(reference.trim_start_matches('#')).is_some(),
            "{reference} leads nowhere"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_is_what_the_description_says() {
    let gateway = Gateway::start().await;
    let described = limekiln_gateway::openapi(&gateway.state);
    let schemas = &described["components"]["schemas"];
    let preview = &schemas["Preview"];
    let mut live = Live::Preview {
        edit: EditId::new(),
        session: None,
        epoch: Epoch::new(1),
        step: 1,
        jpeg: String::new(),
    };
    let fields = |live: &Live| -> BTreeSet<String> {
        let sent = serde_json::to_value(live).unwrap();
        sent.as_object().unwrap().keys().cloned().collect()
    };
    let required: BTreeSet<String> = serde_json::from_value(preview["required"].clone()).unwrap();
    assert_eq!(required, fields(&live));
    if let Live::Preview { session, .. } = &mut live {
        *session = Some(SessionId::new());
    }
    let known = preview["properties"].as_object().unwrap();
    assert_eq!(
        known.keys().cloned().collect::<BTreeSet<_>>(),
        fields(&live)
    );
    for sent in ["SentEvent", "SentSessionEvent"] {
        let choices = &schemas[sent]["properties"]["data"]["contentSchema"]["anyOf"];
        assert_eq!(choices[1]["$ref"], "#/components/schemas/Preview", "{sent}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
