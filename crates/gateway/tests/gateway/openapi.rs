//! The API's description agrees with itself. Whether the gateway agrees with it, schemathesis finds out (`tests/http`).

use std::collections::BTreeSet;

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
