//! Catalogs: rows come once, wait, run, are held and decided on, and leave as a manifest.

use limekiln_fixture::PATIENCE;
use limekiln_jobs::{BatchId, EditId, Failure, FailureClass};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::Gateway;
use crate::support::http::{self, Reply};
use crate::support::worker::ManualWorker;

struct Catalog<'a> {
    gateway: &'a Gateway,
    id: BatchId,
    path: String,
}

impl<'a> Catalog<'a> {
    async fn start(gateway: &'a Gateway) -> Self {
        let defaults = json!({"instruction": "make the {object} {color}", "preset": "fast"});
        let made = gateway
            .post(
                "/v1/catalogs",
                &json!({"name": "autumn", "defaults": defaults}),
            )
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        let path = made.header("location").unwrap().to_owned();
        let id = made.json()["id"].as_str().unwrap().parse().unwrap();
        Self { gateway, id, path }
    }

    async fn rows(&self, rows: &[Value]) -> Reply {
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        let request = self
            .gateway
            .request("POST", &format!("{}/rows", self.path))
            .body("application/x-ndjson", lines.join("\n"));
        self.gateway.send(request).await
    }

    async fn post(&self, what: &str) -> Value {
        let path = format!("{}/{what}", self.path);
        let reply = self.gateway.post(&path, &json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    async fn decide(&self, decision: &Value) -> Reply {
        let path = format!("{}/decisions", self.path);
        self.gateway.post(&path, decision).await
    }

    async fn get(&self, what: &str) -> Reply {
        self.gateway.get(&format!("{}{what}", self.path)).await
    }

    /// What a coordinator does.
    async fn work(&self) {
        let gateway = self.gateway;
        let store = &gateway.context.store;
        store
            .catalog_work(gateway.tenant, self.id, 100)
            .await
            .unwrap();
        gateway.context.broker.wake();
    }
}

fn row(number: u64, image: impl ToString, object: &str) -> Value {
    json!({"row": number, "image": image.to_string(), "values": {"object": object, "color": "red", "sku": "=1+1"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_runs_from_rows_to_a_manifest() {
    let gateway = Gateway::start().await;
    let mut worker = ManualWorker::new(&gateway).await;
    let image = gateway.image().await;
    let catalog = Catalog::start(&gateway).await;
    let rows = [row(1, image, "sofa"), row(2, image, "wall")];
    let taken = catalog.rows(&rows).await.json();
    assert_eq!(taken, json!({"added": 2, "repeated": 0, "rows": 2}));
    let taken = catalog.rows(&rows).await.json();
    assert_eq!(taken, json!({"added": 0, "repeated": 2, "rows": 2}));
    let reused = catalog.rows(&[row(2, image, "lamp")]).await;
    assert_eq!((reused.status, &*reused.code()), (409, "row_reused"));
    assert_eq!(catalog.post("pause").await["state"], "paused");
    catalog.work().await;
    assert_eq!(catalog.get("").await.json()["waiting"], 2);
    catalog.post("resume").await;
    assert_eq!(catalog.post("seal").await["state"], "sealed");
    let sealed = catalog.rows(&[row(3, image, "lamp")]).await;
    assert_eq!((sealed.status, &*sealed.code()), (409, "catalog_sealed"));
    catalog.work().await;
    let mut done = 0;
    while done < 2 {
        for claimed in worker.claim().await {
            assert!(claimed.spec.instruction.ends_with("red"));
            worker.complete(&claimed).await;
            done += 1;
        }
    }
    catalog.work().await;
    let view = catalog.get("").await.json();
    assert_eq!(
        (&view["state"], &view["passed"]),
        (&json!("ended"), &json!(2))
    );
    assert_eq!(view["made_by"], "test");
    let page = catalog.get("/rows?limit=1&state=passed").await.json();
    assert_eq!(
        (&page["rows"][0]["row"], &page["next"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(page["rows"][0]["instruction"], "make the sofa red");
    // What a spreadsheet would run is text.
    let csv = catalog.get("/results?format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<String> = csv.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("row,state,reasons,") && lines[0].ends_with(",color,object,sku"));
    assert!(lines[1].starts_with("1,passed,") && lines[1].ends_with(",red,sofa,'=1+1"));
    let json_lines = catalog.get("/results").await.text();
    let second: Value = serde_json::from_str(json_lines.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["values"]["object"], "wall");
    // The stream tells of the end, and ends.
    let request = gateway.request("GET", &format!("{}/events", catalog.path));
    let (reply, mut events) = http::open(gateway.address, request).await;
    assert_eq!(reply.status, 200);
    let event = timeout(PATIENCE, async {
        loop {
            let event = events.event().await.expect("an event");
            if event.data.get("state").is_some() {
                break event;
            }
        }
    });
    assert!(event.await.unwrap().data.to_string().contains("\"ended\""));
    // Decided on, and listed.
    let rejected = catalog
        .decide(&json!({"rows": [1], "verdict": "reject"}))
        .await;
    assert_eq!(rejected.json(), json!({"rows": 1}));
    let redone = catalog
        .decide(&json!({"rows": [1], "verdict": "redo", "changes": {"seed": 5}}))
        .await;
    assert_eq!(redone.json(), json!({"rows": 1}), "{}", redone.text());
    assert_eq!(catalog.get("").await.json()["waiting"], 1);
    catalog.work().await;
    let claimed = worker.claim().await.remove(0);
    assert_eq!(claimed.spec.seed, 5);
    let by = catalog.get("/rows?state=live").await.json();
    assert_eq!(by["rows"][0]["decision"]["by"], "test");
    let list = gateway.get("/v1/catalogs").await.json();
    assert_eq!(list["catalogs"][0]["id"], catalog.id.to_string());
    let cancelled = catalog.post("cancel").await;
    assert_eq!(cancelled["state"], "cancelling");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_rows_are_all_refused_with_their_reasons() {
    let gateway = Gateway::start().await;
    let image = gateway.image().await;
    let catalog = Catalog::start(&gateway).await;
    let mut bad = [
        row(1, image, "sofa"),
        row(2, image, ""),
        row(3, BatchId::new(), "wall"),
        row(4, image, "wall"),
        row(5, image, "wall"),
    ];
    bad[3]["preset"] = json!("none such");
    bad[4]["parent"] = json!(image);
    let refused = catalog.rows(&bad).await;
    assert_eq!((refused.status, &*refused.code()), (422, "request_invalid"));
    let fields: Vec<Value> = refused.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].clone())
        .collect();
    assert_eq!(
        fields,
        ["row 2: instruction", "row 4: preset", "row 5: parent"]
    );
    let refused = catalog.rows(&bad[2..3]).await;
    assert!(
        refused.text().contains("row 3: image"),
        "{}",
        refused.text()
    );
    assert_eq!(catalog.get("").await.json()["rows"], 0);
    let path = format!("/v1/catalogs/{}", BatchId::new());
    assert_eq!(gateway.get(&path).await.code(), "catalog_not_found");
    let request = http::Request::new("GET", &catalog.path).key(&gateway.other);
    assert_eq!(gateway.send(request).await.code(), "catalog_not_found");
    let defaults = json!({"instruction": "make {it"});
    let made = gateway
        .post("/v1/catalogs", &json!({"defaults": defaults}))
        .await;
    assert_eq!(made.status, 422, "{}", made.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_catalog_is_there_and_tries_nothing_again() {
    let gateway = Gateway::start().await;
    let catalog = Catalog::start(&gateway).await;
    assert_eq!(catalog.post("retry-failed").await, json!({"rows": 0}));
    catalog.post("cancel").await;
    let path = format!("{}/retry-failed", catalog.path);
    let refused = gateway.post(&path, &json!({})).await;
    assert_eq!((refused.status, &*refused.code()), (409, "catalog_sealed"));
    let path = format!("/v1/catalogs/{}/retry-failed", BatchId::new());
    let refused = gateway.post(&path, &json!({})).await;
    assert_eq!(refused.code(), "catalog_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_about_several_objects_edits_one_after_the_other() {
    let gateway = Gateway::start().await;
    let mut worker = ManualWorker::new(&gateway).await;
    let image = gateway.image().await;
    let catalog = Catalog::start(&gateway).await;
    let both = json!([
        {"instruction": "make the sofa {color}"}, {"instruction": "make the lamp brass"}, {"instruction": "make the rug blue"},
    ]);
    let rows: Vec<Value> = (1..=3)
        .map(|number| {
            let mut row = row(number, image, "sofa");
            row["objects"] = both.clone();
            row
        })
        .collect();
    let wrong = {
        let mut row = rows[0].clone();
        row["objects"][1]["color"] = json!(7);
        catalog.rows(&[row]).await
    };
    let field = wrong.json()["errors"][0]["field"].clone();
    assert_eq!(
        (wrong.status, field),
        (422, json!("row 1: objects, number 2: color"))
    );
    assert_eq!(catalog.rows(&rows).await.json()["added"], 3);
    catalog.post("seal").await;
    catalog.work().await;
    // One of the three fails at its second object.
    let mut words = std::collections::BTreeMap::<EditId, String>::new();
    let mut steps = Vec::new();
    for step in 0..3 {
        let mut claimed = worker.claim().await;
        claimed.sort_by_key(|edit| edit.edit);
        for (place, edit) in claimed.iter().enumerate() {
            let path = format!("/v1/edits/{}", edit.edit);
            let parent = gateway.get(&path).await.json()["parent"].clone();
            let parent = parent
                .as_str()
                .map(|id| words[&id.parse().unwrap()].clone());
            steps.push((edit.spec.instruction.clone(), parent));
            words.insert(edit.edit, edit.spec.instruction.clone());
            if step == 1 && place == 1 {
                let failure =
                    Failure::new(FailureClass::User, "instruction_bad", "that can't be done");
                worker.fail(edit, failure).await;
            } else {
                worker.complete(edit).await;
            }
        }
        if step == 1 {
            // Its edit is done, and the next one is not begun.
            let page = catalog.get("/rows").await.json();
            assert!(
                page["rows"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|row| row["state"] == "live")
            );
        }
        catalog.work().await;
    }
    let of = |words: &str, parent: Option<&str>| (words.to_owned(), parent.map(str::to_owned));
    let (sofa, lamp, rug) = (
        "make the sofa red",
        "make the lamp brass",
        "make the rug blue",
    );
    let expected = [
        of(sofa, None),
        of(sofa, None),
        of(sofa, None),
        of(lamp, Some(sofa)),
        of(lamp, Some(sofa)),
        of(lamp, Some(sofa)),
        of(rug, Some(lamp)),
        of(rug, Some(lamp)),
    ];
    assert_eq!(steps, expected);
    let view = catalog.get("").await.json();
    assert_eq!(
        (&view["passed"], &view["failed"], &view["state"]),
        (&json!(2), &json!(1), &json!("ended"))
    );
    let page = catalog.get("/rows").await.json();
    let passed: Vec<_> = page["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["state"] == "passed")
        .collect();
    for row in &passed {
        let edit: EditId = row["edit"].as_str().unwrap().parse().unwrap();
        assert_eq!(words[&edit], rug);
        // What all of its edits took.
        assert!(row["measures"]["seconds"].as_f64().unwrap() >= 0.0);
    }
    // One that failed begins anew.
    catalog.post("retry-failed").await;
    catalog.work().await;
    let [again] = worker.claim().await.try_into().unwrap();
    assert_eq!(again.spec.instruction, sofa);
    worker.complete(&again).await;
    // What is cancelled between two of its objects begins nothing any more.
    assert_eq!(catalog.post("cancel").await["state"], "cancelling");
    catalog.work().await;
    let view = catalog.get("").await.json();
    assert_eq!(
        (&view["state"], &view["cancelled"], &view["live"]),
        (&json!("cancelled"), &json!(1), &json!(0))
    );
    assert!(worker.claim().await.is_empty());
}
