//! OpenAI's route. Its own client is driven in `tests/http`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limekiln_fixture::PATIENCE;
use limekiln_jobs::StateName;
use serde_json::json;

use crate::bad_input::form;
use crate::support::http::{self, Request};
use crate::support::worker::{self, ManualWorker};
use crate::support::{Gateway, pictures};

const IMAGE: &str = r#"name="image"; filename="room.png""#;

fn post(gateway: &Gateway, parts: &[(&str, &[u8])]) -> Request {
    gateway
        .request("POST", "/v1/images/edits")
        .body("multipart/form-data; boundary=cut", form(parts))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_for_a_prompt() {
    let gateway = Gateway::start().await;
    let _worker = worker::start(&gateway).await;
    let room = pictures::room();
    let prompt: (&str, &[u8]) = (r#"name="prompt""#, b"make the sofa red");
    let many = post(
        &gateway,
        &[
            (r#"name="image[]"; filename="room.png""#, &room),
            prompt,
            (r#"name="n""#, b"3"),
            (r#"name="seed""#, b"7"),
            (r#"name="size""#, b"512x512"),
            (r#"name="model""#, b"gpt-image-1"),
            (r#"name="quality""#, b"high"),
            (r#"name="mask"; filename="mask.png""#, &pictures::mask(true)),
        ],
    );
    let reply = gateway.send(many).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let data = reply.json()["data"].as_array().unwrap().clone();
    assert_eq!(data.len(), 3);
    assert!(data.iter().all(
        |one| one["b64_json"].as_str().unwrap().starts_with("iVBORw0KGgo")
            && one.get("url").is_none()
    ));
    let edits = gateway.get("/v1/edits").await.json();
    let edits = edits["edits"].as_array().unwrap();
    let mut seeds: Vec<_> = edits
        .iter()
        .map(|edit| edit["seed"].as_u64().unwrap())
        .collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [7, 8, 9]);
    assert!(
        edits.iter().all(|edit| edit["report"]["mask"] == true),
        "the mask came along"
    );

    let linked = post(
        &gateway,
        &[
            (IMAGE, &room),
            prompt,
            (r#"name="response_format""#, b"url"),
        ],
    );
    let answer = gateway.send(linked).await.json();
    let got = http::presigned(answer["data"][0]["url"].as_str().unwrap()).await;
    assert_eq!((got.status, got.body), (200, pictures::room()));

    let failing = post(
        &gateway,
        &[(IMAGE, &room), (r#"name="prompt""#, b"do the impossible")],
    );
    let reply = gateway.send(failing).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (422, &json!("edit_failed"))
    );
    assert_eq!(reply.json()["error"]["message"], "that can't be done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_in_a_folder_is_its_own_address() {
    let gateway = Gateway::on_folder(|_| {}).await;
    let _worker = worker::start(&gateway).await;
    let request = post(
        &gateway,
        &[
            (IMAGE, &pictures::room()),
            (r#"name="prompt""#, b"make the sofa red"),
            (r#"name="response_format""#, b"url"),
        ],
    );
    let answer = gateway.send(request).await.json();
    let url = answer["data"][0]["url"].as_str().unwrap();
    let picture = url.strip_prefix("data:image/png;base64,").unwrap();
    assert_eq!(STANDARD.decode(picture).unwrap(), pictures::room());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn white_is_where_the_mask_was_transparent() {
    let gateway = Gateway::start().await;
    let mut manual = ManualWorker::new(&gateway).await;
    let request = post(
        &gateway,
        &[
            (IMAGE, &pictures::room()),
            (r#"name="prompt""#, b"make the sofa red"),
            (r#"name="mask"; filename="mask.png""#, &pictures::mask(true)),
        ],
    );
    let address = gateway.address;
    let reply = tokio::spawn(async move { http::send(address, request).await });
    let claimed =
        limekiln_testbed::until_some("an edit", PATIENCE, async || manual.claim().await.pop())
            .await;
    let mask = claimed.mask.clone().unwrap();
    let bytes = gateway
        .context
        .blobs
        .get(&mask.key.parse().unwrap(), Some(&mask.digest), 1 << 20)
        .await
        .unwrap();
    let ours = image::load_from_memory(&bytes).unwrap().to_luma8();
    assert_eq!(
        (ours.get_pixel(30, 30).0, ours.get_pixel(2, 2).0),
        ([255], [0])
    );
    manual.complete(&claimed).await;
    assert_eq!(reply.await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hangs_up_cancels() {
    let gateway = Gateway::start().await;
    let mut manual = ManualWorker::new(&gateway).await;
    let room = pictures::room();
    let parts: [(&str, &[u8]); 3] = [
        (IMAGE, &room),
        (r#"name="prompt""#, b"make the sofa red"),
        (r#"name="n""#, b"2"),
    ];
    let state = async |wanted: StateName, count: usize| {
        limekiln_testbed::until("edits in that state", PATIENCE, async || {
            let edits = gateway
                .get(&format!("/v1/edits?state={wanted}"))
                .await
                .json();
            edits["edits"].as_array().unwrap().len() == count
        })
        .await;
    };
    let waiting = |request: Request| {
        let address = gateway.address;
        tokio::spawn(async move { http::send(address, request).await })
    };
    let request = waiting(post(&gateway, &parts));
    state(StateName::Queued, 2).await;
    assert_eq!(manual.claim().await.len(), 2);
    request.abort();
    state(StateName::Cancelled, 2).await;

    // With a key the client may come back, so its edits go on.
    let keyed = || post(&gateway, &parts).header("idempotency-key", "k");
    let request = waiting(keyed());
    state(StateName::Queued, 2).await;
    request.abort();
    let _ = request.await;
    for edit in manual.claim().await {
        manual.complete(&edit).await;
    }
    let reply = gateway.send(keyed()).await;
    assert_eq!(
        (reply.status, reply.json()["data"].as_array().map(Vec::len)),
        (200, Some(2))
    );
    state(StateName::Succeeded, 2).await;
}
