//! OpenAI's files and batches. Its own client is driven in `tests/http`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limekiln_fixture::PATIENCE;
use limekiln_jobs::BatchId;
use limekiln_testbed::until_some;
use serde_json::{Value, json};

use crate::bad_input::form;
use crate::support::http::Reply;
use crate::support::{Gateway, pictures, worker};

const FILE: &str = r#"name="file"; filename="requests.jsonl""#;
const PURPOSE: &str = r#"name="purpose""#;

async fn sent(gateway: &Gateway, parts: &[(&str, &[u8])]) -> Reply {
    let request = gateway.request("POST", "/v1/files");
    let request = request.body("multipart/form-data; boundary=cut", form(parts));
    gateway.send(request).await
}

async fn file(gateway: &Gateway, purpose: &str, bytes: &[u8]) -> String {
    // OpenAI's clients for other languages send the file first.
    let reply = sent(gateway, &[(FILE, bytes), (PURPOSE, purpose.as_bytes())]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let file = reply.json();
    assert_eq!(
        (&file["object"], &file["status"]),
        (&json!("file"), &json!("processed"))
    );
    assert_eq!(file["bytes"], bytes.len());
    file["id"].as_str().unwrap().to_owned()
}

fn line(custom_id: &str, body: Value) -> String {
    json!({"custom_id": custom_id, "method": "POST", "url": "/v1/images/edits", "body": body})
        .to_string()
}

fn request(prompt: &str, picture: Value) -> Value {
    json!({"prompt": prompt, "images": [picture], "model": "gpt-image-1"})
}

fn data_url() -> Value {
    json!({"image_url": format!("data:image/png;base64,{}", STANDARD.encode(pictures::room()))})
}

async fn batch(gateway: &Gateway, lines: &[String]) -> String {
    let input = file(gateway, "batch", lines.join("\n").as_bytes()).await;
    let body = json!({
        "input_file_id": input, "endpoint": "/v1/images/edits", "completion_window": "24h", "metadata": {"season": "autumn"},
    });
    let reply = gateway.post("/v1/batches", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let made = reply.json();
    assert_eq!(
        (&made["object"], &made["input_file_id"]),
        (&json!("batch"), &json!(input))
    );
    assert_eq!(made["metadata"]["season"], "autumn");
    made["id"].as_str().unwrap().to_owned()
}

fn catalog(batch: &str) -> BatchId {
    let digits = batch.strip_prefix("batch_").unwrap();
    digits.parse::<uuid::Uuid>().unwrap().into()
}

/// The batch once it is in this state; meanwhile coordinators work.
async fn until(gateway: &Gateway, batch: &str, status: &str) -> Value {
    let path = format!("/v1/batches/{batch}");
    until_some(status, PATIENCE, async || {
        let store = &gateway.context.store;
        let worked = store.catalog_work(gateway.tenant, catalog(batch), 100);
        worked.await.unwrap();
        gateway.context.broker.wake();
        let view = gateway.get(&path).await.json();
        (view["status"] == status).then_some(view)
    })
    .await
}

async fn lines(gateway: &Gateway, file: &Value) -> Vec<Value> {
    let path = format!("/v1/files/{}/content", file.as_str().unwrap());
    let reply = gateway.get(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_runs_from_a_file_to_files() {
    let gateway = Gateway::start().await;
    let _worker = worker::start(&gateway).await;
    let room = pictures::room();
    let picture = file(&gateway, "vision", &room).await;
    let image = gateway.image().await;
    let mut jpeg = request("make the sofa red", data_url());
    jpeg["output_format"] = json!("jpeg");
    let lines_sent = [
        line(
            "by file",
            request("make the {sofa} red", json!({"file_id": picture})),
        ),
        String::new(),
        line("by data", jpeg),
        line(
            "by image",
            request("make the sofa red", json!({"file_id": image})),
        ),
        line("wordless", request("", data_url())),
        line(
            "impossible",
            request("do the impossible", json!({"file_id": picture})),
        ),
        line("two", {
            let mut two = request("make the sofa red", data_url());
            two["n"] = json!(2);
            two
        }),
    ];
    let batch = batch(&gateway, &lines_sent).await;
    let done = until(&gateway, &batch, "completed").await;
    let counts = json!({"total": 6, "completed": 3, "failed": 3});
    assert_eq!(done["request_counts"], counts);
    for time in [
        "in_progress_at",
        "finalizing_at",
        "completed_at",
        "expires_at",
    ] {
        assert!(done[time].is_u64(), "{time}: {done}");
    }
    let results = lines(&gateway, &done["output_file_id"]).await;
    let names: Vec<_> = results.iter().map(|line| &line["custom_id"]).collect();
    assert_eq!(names, ["by file", "by data", "by image"]);
    for (line, begins) in results.iter().zip(["iVBORw0KGgo", "/9j/", "iVBORw0KGgo"]) {
        assert_eq!(
            (&line["response"]["status_code"], &line["error"]),
            (&json!(200), &Value::Null)
        );
        let picture = &line["response"]["body"]["data"][0]["b64_json"];
        assert!(picture.as_str().unwrap().starts_with(begins));
    }
    let failed = lines(&gateway, &done["error_file_id"]).await;
    let told: Vec<_> = failed
        .iter()
        .map(|line| {
            let error = &line["response"]["body"]["error"];
            (
                line["custom_id"].as_str().unwrap(),
                error["code"].as_str().unwrap(),
                &error["param"],
            )
        })
        .collect();
    let none = Value::Null;
    let (prompt, n) = (json!("prompt"), json!("n"));
    assert_eq!(
        told,
        [
            ("wordless", "request_invalid", &prompt),
            ("impossible", "edit_failed", &none),
            ("two", "request_invalid", &n),
        ]
    );
    assert!(
        failed
            .iter()
            .all(|line| line["response"]["status_code"] == 422)
    );
    // Braces of a prompt are meant, and the rows are those of a catalog.
    let path = format!("/v1/catalogs/{}/rows", catalog(&batch));
    let rows = gateway.get(&path).await.json();
    assert_eq!(rows["rows"][0]["instruction"], "make the {sofa} red");
    assert_eq!(rows["rows"][0]["values"]["custom_id"], "by file");
    // The same picture is stored once.
    assert_eq!(rows["rows"][0]["image"], rows["rows"][1]["image"]);

    let listed = gateway
        .get("/v1/files?purpose=batch_output&order=asc")
        .await
        .json();
    let ids: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["id"])
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&&done["output_file_id"]) && ids.contains(&&done["error_file_id"]));
    let batches = gateway.get("/v1/batches?limit=1").await.json();
    assert_eq!(
        (&batches["data"][0]["id"], &batches["has_more"]),
        (&json!(batch), &json!(false))
    );
    // What ended stays as it is.
    let path = format!("/v1/batches/{batch}/cancel");
    assert_eq!(
        gateway.post(&path, &json!({})).await.json()["status"],
        "completed"
    );
    let path = format!("/v1/files/{}", done["output_file_id"].as_str().unwrap());
    let deleted = gateway.send(gateway.request("DELETE", &path)).await.json();
    assert_eq!(deleted["deleted"], true);
    let again = gateway.send(gateway.request("DELETE", &path)).await;
    assert_eq!(
        (again.status, &again.json()["error"]["code"]),
        (404, &json!("file_not_found"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_lines_are_refused_with_their_numbers_and_nothing_runs() {
    let gateway = Gateway::start().await;
    let good = |name: &str| line(name, request("make the sofa red", data_url()));
    let mut other = serde_json::from_str::<Value>(&good("c")).unwrap();
    other["url"] = json!("/v1/chat/completions");
    let sent = [
        good("a"),
        "{".to_owned(),
        good("b"),
        other.to_string(),
        good("a"),
    ];
    let batch = batch(&gateway, &sent).await;
    let failed = until(&gateway, &batch, "failed").await;
    let errors = failed["errors"]["data"].as_array().unwrap();
    let told: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error["line"].as_u64().unwrap(),
                error["code"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (2, "invalid_json_line"),
        (4, "mismatched_endpoint"),
        (5, "duplicate_custom_id"),
    ];
    assert_eq!(told, expected);
    assert!(failed["failed_at"].is_u64() && failed["output_file_id"].is_null());
    assert_eq!(gateway.get("/v1/edits").await.json()["edits"], json!([]));

    let empty = file(&gateway, "batch", b"\n\n").await;
    let body =
        json!({"input_file_id": empty, "endpoint": "/v1/images/edits", "completion_window": "24h"});
    let made = gateway.post("/v1/batches", &body).await.json();
    let failed = until(&gateway, made["id"].as_str().unwrap(), "failed").await;
    assert_eq!(failed["errors"]["data"][0]["code"], "empty_file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_cancelled_or_runs_out_of_time() {
    let gateway = Gateway::start().await;
    gateway.context.worker_register(512).await;
    let sent: Vec<String> = ["a", "b", "c"]
        .map(|name| line(name, request("make the sofa red", data_url())))
        .to_vec();
    let cancelled = batch(&gateway, &sent).await;
    until(&gateway, &cancelled, "in_progress").await;
    let path = format!("/v1/batches/{cancelled}/cancel");
    let view = gateway.post(&path, &json!({})).await.json();
    assert!(view["cancelling_at"].is_u64(), "{view}");
    // What a coordinator does with edits that were under way.
    let end = async |batch: &str| {
        let store = &gateway.context.store;
        for edit in store.catalog_live(catalog(batch), 100).await.unwrap() {
            let _ = store.edit_cancel(gateway.tenant, edit).await.unwrap();
        }
    };
    end(&cancelled).await;
    let view = until(&gateway, &cancelled, "cancelled").await;
    assert_eq!(
        view["request_counts"],
        json!({"total": 3, "completed": 0, "failed": 3})
    );
    let failed = lines(&gateway, &view["error_file_id"]).await;
    assert_eq!(failed.len(), 3);
    assert!(
        failed
            .iter()
            .all(|line| line["error"]["code"] == "batch_cancelled"),
        "{failed:?}"
    );

    let expired = batch(&gateway, &sent).await;
    until(&gateway, &expired, "in_progress").await;
    let past = format!(
        "update openai_batches set expires_at = now() - interval '1 s' where id = '{}'",
        catalog(&expired)
    );
    gateway.context.sql(&past).await;
    let stopped = format!(
        "select count(*) from openai_batches where id = '{}' and expiring_at is not null",
        catalog(&expired)
    );
    until_some("a stop", PATIENCE, async || {
        (gateway.context.number(&stopped).await == 1).then_some(())
    })
    .await;
    end(&expired).await;
    let view = until(&gateway, &expired, "expired").await;
    let failed = lines(&gateway, &view["error_file_id"]).await;
    assert!(
        failed
            .iter()
            .all(|line| line["error"]["code"] == "batch_expired"),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_on_with_a_file_doubles_and_loses_nothing() {
    let gateway = Gateway::start().await;
    let image = gateway.image().await;
    let picture = json!({"file_id": image});
    let many: Vec<String> = (0..450)
        .map(|number| {
            let prompt = if number % 100 == 7 {
                ""
            } else {
                "make the sofa red"
            };
            line(&format!("row {number}"), request(prompt, picture.clone()))
        })
        .collect();
    let batch = batch(&gateway, &many).await;
    let id = catalog(&batch);
    let counts = format!("select row_count from catalogs where id = '{id}'");
    let read = format!(
        "select count(*) from openai_batches where id = '{id}' and in_progress_at is not null"
    );
    let all_read = async || {
        until_some("all of it read", PATIENCE, async || {
            (gateway.context.number(&read).await == 1).then_some(())
        })
        .await;
    };
    all_read().await;
    assert_eq!(gateway.context.number(&counts).await, 445);
    // As if the gateway had died when all was written but how far it came: after the first 200 lines, and after none.
    for back in [200, 0] {
        let bytes: usize = many.iter().take(back).map(|line| line.len() + 1).sum();
        let refused = many
            .iter()
            .take(back)
            .filter(|line| line.contains("\"prompt\":\"\""))
            .count();
        let again = format!(
            "update openai_batches set in_progress_at = null, lease = null, lease_until = null, read_bytes = {bytes},
                read_lines = {back}, lines = {back}, refused = {refused} where id = '{id}';
            update catalogs set sealed_at = null, paused_at = now() where id = '{id}'"
        );
        gateway.context.sql(&again).await;
        all_read().await;
        assert_eq!(gateway.context.number(&counts).await, 445, "from {back}");
        let view = gateway.get(&format!("/v1/batches/{batch}")).await.json();
        assert_eq!(
            view["request_counts"],
            json!({"total": 450, "completed": 0, "failed": 5})
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_and_go_in_parts() {
    let gateway = Gateway::on_folder(|settings| settings.limits.file_bytes = 12 << 20).await;
    // Longer than two parts, and no two of them alike.
    let large: Vec<u8> = (0..(9 << 20) / 4_u32).flat_map(u32::to_le_bytes).collect();
    let id = file(&gateway, "batch", &large).await;
    let path = format!("/v1/files/{id}");
    let content = gateway.get(&format!("{path}/content")).await;
    assert!(
        content.body == large,
        "{} bytes came back",
        content.body.len()
    );
    let shown = gateway.get(&path).await.json();
    assert_eq!(shown["filename"], "requests.jsonl");
    assert_eq!(
        shown["expires_at"].as_u64().unwrap() - shown["created_at"].as_u64().unwrap(),
        30 * 86_400
    );
    let parts = "select count(*) from file_parts";
    assert_eq!(gateway.context.number(parts).await, 3);
    // Another tenant's is not there.
    for method in ["GET", "DELETE"] {
        let request = crate::support::http::Request::new(method, &path).key(&gateway.other);
        let reply = gateway.send(request).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (404, &json!("file_not_found"))
        );
    }
    let deleted = gateway.send(gateway.request("DELETE", &path)).await;
    assert_eq!(
        deleted.json(),
        json!({"id": id, "object": "file", "deleted": true})
    );
    assert_eq!(gateway.context.number(parts).await, 0);
    let listed = "select count(*) from blob_deletions where key like 't/%/files/%/'";
    assert_eq!(gateway.context.number(listed).await, 1);
    // What is charged is given back.
    let stored = format!(
        "select sum(bytes - freed)::bigint from usage where tenant_id = '{}'",
        gateway.tenant
    );
    assert_eq!(gateway.context.number(&stored).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_batches_say_what_is_wrong() {
    let gateway = Gateway::with(|settings| settings.limits.file_bytes = 1 << 20).await;
    let refused = async |parts: &[(&str, &[u8])], status: u16, param: Option<&str>| {
        let reply = sent(&gateway, parts).await;
        let error = &reply.json()["error"];
        assert_eq!(reply.status, status, "{error}");
        assert_eq!(error["param"].as_str(), param, "{error}");
    };
    let (batch, line) = ((PURPOSE, &b"batch"[..]), (FILE, &b"{}"[..]));
    refused(&[batch], 422, Some("file")).await;
    refused(&[line], 422, Some("purpose")).await;
    refused(&[line, (PURPOSE, b"fine-tune")], 422, Some("purpose")).await;
    refused(&[line, batch, line], 422, Some("file")).await;
    refused(&[batch, (FILE, b"")], 422, Some("file")).await;
    refused(
        &[batch, line, (r#"name="color""#, b"red")],
        422,
        Some("color"),
    )
    .await;
    let anchor = (r#"name="expires_after[anchor]""#, &b"created_at"[..]);
    refused(&[batch, line, anchor], 422, Some("expires_after[seconds]")).await;
    refused(&[batch, (FILE, &vec![b' '; (1 << 20) + 1])], 413, None).await;
    refused(&[(PURPOSE, b"vision"), (FILE, b"GIF89a")], 415, None).await;
    assert_eq!(
        gateway
            .context
            .number("select count(*) from files where ready")
            .await,
        0
    );

    let input = file(&gateway, "batch", b"{}").await;
    let vision = file(&gateway, "vision", &pictures::room()).await;
    let good =
        json!({"input_file_id": input, "endpoint": "/v1/images/edits", "completion_window": "24h"});
    let unknown = format!("file-{}", uuid::Uuid::nil().simple());
    for (field, value, status, param) in [
        (
            "endpoint",
            json!("/v1/chat/completions"),
            422,
            Some("endpoint"),
        ),
        (
            "completion_window",
            json!("1 day"),
            422,
            Some("completion_window"),
        ),
        ("input_file_id", json!(vision), 422, Some("input_file_id")),
        ("input_file_id", json!("file-x"), 404, None),
        ("input_file_id", json!(unknown), 404, None),
        (
            "metadata",
            json!({"a": "x".repeat(513)}),
            422,
            Some("metadata"),
        ),
        ("colour", json!("red"), 422, Some("colour")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let reply = gateway.post("/v1/batches", &body).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, error["param"].as_str()),
            (status, param),
            "{error}"
        );
    }
    let missing = gateway.get("/v1/batches/batch_0").await;
    assert_eq!(
        (missing.status, &missing.json()["error"]["code"]),
        (404, &json!("batch_not_found"))
    );
}
