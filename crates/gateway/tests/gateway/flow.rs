//! One edit, from the picture to the result.

use limekiln_fixture::PATIENCE;
use limekiln_jobs::EditId;
use serde_json::json;

use crate::support::http::{self, Request};
use crate::support::worker::{self, ManualWorker};
use crate::support::{Gateway, pictures};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_from_picture_to_result() {
    let gateway = Gateway::start().await;
    let _worker = worker::start(&gateway).await;
    let image = gateway.image().await;
    let uploaded = gateway.get(&format!("/v1/images/{image}")).await.json();
    assert_eq!(
        (
            &uploaded["width"],
            &uploaded["height"],
            &uploaded["media_type"]
        ),
        (&json!(64), &json!(48), &json!("image/png"))
    );
    let content = gateway
        .get(uploaded["links"]["content"].as_str().unwrap())
        .await;
    assert_eq!((content.status, content.body), (200, pictures::room()));

    let accepted = gateway
        .post(
            "/v1/edits",
            &json!({"image": image, "instruction": "make the sofa red", "seed": 7}),
        )
        .await;
    assert_eq!(accepted.status, 202);
    let accepted_at = accepted.header("location").unwrap().to_owned();
    let view = accepted.json();
    assert_eq!(
        (
            &view["state"],
            &view["seed"],
            view["links"]["self"].as_str()
        ),
        (&json!("queued"), &json!(7), Some(&*accepted_at))
    );

    let events = format!("{accepted_at}/events");
    let (head, mut stream) = http::open(gateway.address, gateway.request("GET", &events)).await;
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("text/event-stream"))
    );
    let mut kinds = Vec::new();
    let mut last = 0;
    while let Some(event) = tokio::time::timeout(PATIENCE, stream.event())
        .await
        .expect("the stream ends")
    {
        last += 1;
        assert_eq!(event.id, Some(last), "gapless");
        assert_eq!(
            (event.data["seq"].as_u64(), event.data["kind"].as_str()),
            (Some(last), Some(&*event.kind))
        );
        kinds.push(event.kind);
    }
    let mut expected = vec!["queued", "started"];
    expected.extend(["progress"; 4]);
    expected.push("succeeded");
    assert_eq!(kinds, expected);

    let done = gateway.get(&accepted_at).await.json();
    assert_eq!(done["state"], "succeeded");
    assert_eq!(done["report"]["preset"], "fast");
    assert!(done["links"].get("roi").is_none());
    let result = gateway.get(done["links"]["result"].as_str().unwrap()).await;
    assert_eq!(
        (result.status, result.header("content-type")),
        (200, Some("image/png"))
    );
    assert_eq!(result.body, pictures::room());
    let tag = result.header("etag").unwrap().to_owned();
    let again = gateway
        .request("GET", done["links"]["result"].as_str().unwrap())
        .header("if-none-match", &tag);
    assert_eq!(gateway.send(again).await.status, 304);

    // All was received: nothing more will come, and browsers stop asking.
    let back = gateway
        .request("GET", &events)
        .header("last-event-id", last.to_string());
    assert_eq!(gateway.send(back).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_makes_no_second_edit() {
    let gateway = Gateway::start().await;
    let image = gateway.image().await;
    let body = json!({"image": image, "instruction": "make the sofa red"});
    let post = |body: &serde_json::Value| {
        gateway
            .request("POST", "/v1/edits")
            .json(body)
            .header("idempotency-key", "k1")
    };
    let first = gateway.send(post(&body)).await;
    let before = gateway.stored().await;
    // Spelled in another way, the same request.
    let spaced = Request {
        body: format!(" {body} ").into_bytes(),
        ..post(&body)
    };
    let second = gateway.send(spaced).await;
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.body, second.body);
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            second.header("idempotency-replayed")
        ),
        (None, Some("true"))
    );
    let mut other = body.clone();
    other["instruction"] = json!("make the sofa green");
    let third = gateway.send(post(&other)).await;
    assert_eq!(
        (third.status, third.code().as_str()),
        (422, "idempotency_key_reused")
    );
    // Another tenant's keys are its own.
    let elsewhere = Request::new("POST", "/v1/edits")
        .key(&gateway.other)
        .json(&body)
        .header("idempotency-key", "k1");
    assert_eq!(gateway.send(elsewhere).await.code(), "image_not_found");
    assert_eq!(gateway.stored().await, before);

    // The first answer, even when the edit has gone on.
    let mut manual = ManualWorker::new(&gateway).await;
    let claimed = manual.claim().await;
    manual.complete(&claimed[0]).await;
    assert_eq!(gateway.send(post(&body)).await.body, first.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_edit_stays_cancelled() {
    let gateway = Gateway::start().await;
    let mut manual = ManualWorker::new(&gateway).await;
    let mut stops = gateway.context.broker.stops().await;
    let edit = gateway.edit().await;
    let claimed = manual.claim().await;
    let reply = gateway
        .send(gateway.request("POST", &format!("/v1/edits/{edit}/cancel")))
        .await;
    assert_eq!(
        (reply.status, reply.json()["state"].as_str()),
        (200, Some("cancelled"))
    );
    let stop = tokio::time::timeout(PATIENCE, stops.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (stop.run().edit, stop.run().epoch),
        (edit, claimed[0].epoch),
        "its worker is told"
    );
    manual.complete(&claimed[0]).await;
    let again = gateway
        .send(gateway.request("POST", &format!("/v1/edits/{edit}/cancel")))
        .await;
    assert_eq!(
        (again.status, again.json()["state"].as_str()),
        (200, Some("cancelled")),
        "a late result changes nothing"
    );
    let result = gateway.get(&format!("/v1/edits/{edit}/result")).await;
    assert_eq!((result.status, result.code().as_str()), (409, "edit_ended"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_of_a_session() {
    let gateway = Gateway::start().await;
    let session = gateway.send(gateway.request("POST", "/v1/sessions")).await;
    assert_eq!(session.status, 201);
    let location = session.header("location").unwrap().to_owned();
    let session = session.json();
    assert_eq!(gateway.get(&location).await.json()["id"], session["id"]);

    let image = gateway.image().await;
    let first =
        json!({"image": image, "instruction": "make the sofa red", "session": session["id"]});
    let first = gateway.post("/v1/edits", &first).await.json();
    let second = json!({"parent": first["id"], "instruction": "now the wall blue"});
    let second = gateway.post("/v1/edits", &second).await.json();
    assert_eq!(
        (&first["state"], &second["state"]),
        (&json!("queued"), &json!("waiting"))
    );

    let edits = gateway
        .get(session["links"]["edits"].as_str().unwrap())
        .await
        .json();
    let found: Vec<_> = edits["edits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edit| edit["id"].clone())
        .collect();
    assert_eq!(
        found,
        [second["id"].clone(), first["id"].clone()],
        "newest first; turns inherit the session"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_edits() {
    let gateway = Gateway::start().await;
    let image = gateway.image().await;
    let mut made: Vec<EditId> = Vec::new();
    for index in 0..5 {
        let body = json!({"image": image, "instruction": format!("edit {index}")});
        made.push(
            gateway.post("/v1/edits", &body).await.json()["id"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap(),
        );
    }
    made.reverse();
    let mut seen: Vec<EditId> = Vec::new();
    let mut path = "/v1/edits?limit=2&state=queued&model=rooms".to_owned();
    loop {
        let page = gateway.get(&path).await.json();
        seen.extend(
            page["edits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|edit| edit["id"].as_str().unwrap().parse::<EditId>().unwrap()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/edits?limit=2&state=queued&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, made);
    assert_eq!(
        gateway.get("/v1/edits?state=failed").await.json()["edits"],
        json!([])
    );
    let position = gateway.get(&format!("/v1/edits/{}", made[0])).await.json();
    assert_eq!(position["queue_position"], 4, "four older ones go first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_by_presigned_address() {
    let gateway =
        Gateway::with(|settings| settings.downloads = limekiln_gateway::Downloads::Redirect).await;
    let mut manual = ManualWorker::new(&gateway).await;
    let edit = gateway.edit().await;
    let claimed = manual.claim().await;
    manual.complete(&claimed[0]).await;
    let reply = gateway.get(&format!("/v1/edits/{edit}/result")).await;
    assert_eq!(reply.status, 307);
    let got = http::presigned(reply.header("location").unwrap()).await;
    assert_eq!(
        (got.status, got.body),
        (200, pictures::room()),
        "no key is needed there"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_in_a_folder_come_through_the_gateway() {
    let gateway = Gateway::on_folder(|settings| {
        settings.downloads = limekiln_gateway::Downloads::Redirect;
    })
    .await;
    let mut manual = ManualWorker::new(&gateway).await;
    let edit = gateway.edit().await;
    let claimed = manual.claim().await;
    manual.complete(&claimed[0]).await;
    let reply = gateway.get(&format!("/v1/edits/{edit}/result")).await;
    assert_eq!((reply.status, reply.body), (200, pictures::room()));
}
