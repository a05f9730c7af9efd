//! One edit, from the picture to the result.

use limekiln_jobs::EditId;
use serde_json::json;

use crate::support::http::{self, Request};
use crate::support::{Bed, PATIENCE, pictures, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_from_picture_to_result() {
    let bed = Bed::start().await;
    let _worker = worker::start(&bed).await;
    let image = bed.image().await;
    let uploaded = bed.get(&format!("/v1/images/{image}")).await.json();
    assert_eq!(
        (
            &uploaded["width"],
            &uploaded["height"],
            &uploaded["media_type"]
        ),
        (&json!(64), &json!(48), &json!("image/png"))
    );
    let content = bed
        .get(uploaded["links"]["content"].as_str().unwrap())
        .await;
    assert_eq!((content.status, content.body), (200, pictures::room()));

    let accepted = bed
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
    let (head, mut stream) = http::open(bed.address, bed.request("GET", &events)).await;
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

    let done = bed.get(&accepted_at).await.json();
    assert_eq!(done["state"], "succeeded");
    assert_eq!(done["report"]["preset"], "fast");
    assert!(done["links"].get("roi").is_none());
    let result = bed.get(done["links"]["result"].as_str().unwrap()).await;
    assert_eq!(
        (result.status, result.header("content-type")),
        (200, Some("image/png"))
    );
    assert_eq!(result.body, pictures::room());
    let tag = result.header("etag").unwrap().to_owned();
    let again = bed
        .request("GET", done["links"]["result"].as_str().unwrap())
        .header("if-none-match", &tag);
    assert_eq!(bed.send(again).await.status, 304);

    // All was received: nothing more will come, and browsers stop asking.
    let back = bed
        .request("GET", &events)
        .header("last-event-id", last.to_string());
    assert_eq!(bed.send(back).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_makes_no_second_edit() {
    let bed = Bed::start().await;
    let image = bed.image().await;
    let body = json!({"image": image, "instruction": "make the sofa red"});
    let post = |body: &serde_json::Value| {
        bed.request("POST", "/v1/edits")
            .json(body)
            .header("idempotency-key", "k1")
    };
    let first = bed.send(post(&body)).await;
    let before = bed.stored().await;
    // Spelled in another way, the same request.
    let spaced = Request {
        body: format!(" {body} ").into_bytes(),
        ..post(&body)
    };
    let second = bed.send(spaced).await;
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
    let third = bed.send(post(&other)).await;
    assert_eq!(
        (third.status, third.code().as_str()),
        (422, "idempotency_key_reused")
    );
    // Another tenant's keys are its own.
    let elsewhere = Request::new("POST", "/v1/edits")
        .key(&bed.other)
        .json(&body)
        .header("idempotency-key", "k1");
    assert_eq!(bed.send(elsewhere).await.code(), "image_not_found");
    assert_eq!(bed.stored().await, before);

    // The first answer, even when the edit has gone on.
    let mut hands = worker::Hands::new(&bed).await;
    let claimed = hands.claim().await;
    hands.complete(&claimed[0]).await;
    assert_eq!(bed.send(post(&body)).await.body, first.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_edit_stays_cancelled() {
    let bed = Bed::start().await;
    let mut hands = worker::Hands::new(&bed).await;
    let mut stops = bed.broker.stops().await;
    let edit = bed.edit().await;
    let claimed = hands.claim().await;
    let reply = bed
        .send(bed.request("POST", &format!("/v1/edits/{edit}/cancel")))
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
        (stop.edit, stop.epoch),
        (edit, claimed[0].epoch),
        "its worker is told"
    );
    hands.complete(&claimed[0]).await;
    let again = bed
        .send(bed.request("POST", &format!("/v1/edits/{edit}/cancel")))
        .await;
    assert_eq!(
        (again.status, again.json()["state"].as_str()),
        (200, Some("cancelled")),
        "a late result changes nothing"
    );
    let result = bed.get(&format!("/v1/edits/{edit}/result")).await;
    assert_eq!((result.status, result.code().as_str()), (409, "edit_ended"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_of_a_session() {
    let bed = Bed::start().await;
    let session = bed.send(bed.request("POST", "/v1/sessions")).await;
    assert_eq!(session.status, 201);
    let location = session.header("location").unwrap().to_owned();
    let session = session.json();
    assert_eq!(bed.get(&location).await.json()["id"], session["id"]);

    let image = bed.image().await;
    let first =
        json!({"image": image, "instruction": "make the sofa red", "session": session["id"]});
    let first = bed.post("/v1/edits", &first).await.json();
    let second = json!({"parent": first["id"], "instruction": "now the wall blue"});
    let second = bed.post("/v1/edits", &second).await.json();
    assert_eq!(
        (&first["state"], &second["state"]),
        (&json!("queued"), &json!("waiting"))
    );

    let edits = bed
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
    let bed = Bed::start().await;
    let image = bed.image().await;
    let mut made: Vec<EditId> = Vec::new();
    for index in 0..5 {
        let body = json!({"image": image, "instruction": format!("edit {index}")});
        made.push(
            bed.post("/v1/edits", &body).await.json()["id"]
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
        let page = bed.get(&path).await.json();
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
        bed.get("/v1/edits?state=failed").await.json()["edits"],
        json!([])
    );
    let position = bed.get(&format!("/v1/edits/{}", made[0])).await.json();
    assert_eq!(position["queue_position"], 4, "four older ones go first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_by_presigned_address() {
    let bed =
        Bed::with(|settings| settings.downloads = limekiln_gateway::Downloads::Redirect).await;
    let mut hands = worker::Hands::new(&bed).await;
    let edit = bed.edit().await;
    let claimed = hands.claim().await;
    hands.complete(&claimed[0]).await;
    let reply = bed.get(&format!("/v1/edits/{edit}/result")).await;
    assert_eq!(reply.status, 307);
    let got = http::presigned(reply.header("location").unwrap()).await;
    assert_eq!(
        (got.status, got.body),
        (200, pictures::room()),
        "no key is needed there"
    );
}
