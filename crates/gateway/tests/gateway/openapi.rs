//! The API's description agrees with itself. Whether the gateway agrees with it, schemathesis finds out (`tests/http`).

use std::collections::BTreeSet;

use limekiln_gateway::Code;
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
    assert_eq!(operations, 30);
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

/// A typing error in a handler's list of codes would silently leave it out.
#[test]
fn handlers_name_only_codes_that_exist() {
    let mut named = 0;
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for list in text.split("\"x-problems\" = json!([").skip(1) {
                for code in list
                    .split("])")
                    .next()
                    .unwrap()
                    .split('"')
                    .skip(1)
                    .step_by(2)
                {
                    assert!(Code::find(code).is_some(), "{}: {code}", path.display());
                    named += 1;
                }
            }
        }
    }
    assert!(named > 50);
}
