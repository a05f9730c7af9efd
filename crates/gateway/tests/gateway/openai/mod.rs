//! OpenAI's route. Its own client is driven in `tests/http`.

mod batches;
mod masks;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, GrayImage};
use limekiln_fixture::PATIENCE;
use limekiln_gateway::Downloads;
use limekiln_jobs::{Failure, FailureClass, Live, StateName};
use limekiln_store::Claimed;
use serde_json::{Value, json};

use crate::bad_input::form;
use crate::support::http::{self, Request};
use crate::support::worker::{self, ManualWorker};
use crate::support::{Gateway, pictures};

const PROMPT: (&str, &[u8]) = (r#"name="prompt""#, b"make the sofa red");
const IMAGE: &str = r#"name="image"; filename="room.png""#;

fn post(gateway: &Gateway, parts: &[(&str, &[u8])]) -> Request {
    gateway
        .request("POST", "/v1/images/edits")
        .body("multipart/form-data; boundary=cut", form(parts))
}

/// The mask of the only edit, and the picture that it is about, once it was claimed.
async fn claimed(
    gateway: &Gateway,
    manual: &mut ManualWorker,
) -> (Claimed, Option<GrayImage>, DynamicImage) {
    let claimed =
        limekiln_testbed::until_some("an edit", PATIENCE, async || manual.claim().await.pop())
            .await;
    let read = async |key: &str| {
        let key = key.parse().unwrap();
        let bytes = gateway
            .context
            .blobs
            .get(&key, None, 1 << 20)
            .await
            .unwrap();
        image::load_from_memory(&bytes).unwrap()
    };
    let mask = match &claimed.mask {
        Some(mask) => Some(read(&mask.key).await.to_luma8()),
        None => None,
    };
    let picture = read(&claimed.input.key).await;
    (claimed, mask, picture)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_for_a_prompt() {
    let gateway = Gateway::with(|settings| settings.downloads = Downloads::Redirect).await;
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
async fn formats_and_sizes_are_of_the_result() {
    let gateway = Gateway::start().await;
    let _worker = worker::start(&gateway).await;
    let room = pictures::room();
    // The room has 64 x 48 pixels.
    for (fields, format, magic, size) in [
        (&[("output_format", "jpeg")][..], "jpeg", "/9j/", (64, 48)),
        (
            &[("output_format", "webp"), ("output_compression", "0")],
            "webp",
            "UklGR",
            (64, 48),
        ),
        (
            &[("output_compression", "100"), ("size", "auto")],
            "png",
            "iVBORw0KGgo",
            (64, 48),
        ),
        (
            &[
                ("size", "256x256"),
                ("output_format", "jpeg"),
                ("output_compression", "100"),
            ],
            "jpeg",
            "/9j/",
            (64, 48),
        ),
    ] {
        let named: Vec<String> = fields
            .iter()
            .map(|(name, _)| format!("name=\"{name}\""))
            .collect();
        let mut parts: Vec<(&str, &[u8])> =
            vec![(IMAGE, &room), (r#"name="prompt""#, b"make the sofa red")];
        parts.extend(
            named
                .iter()
                .zip(fields)
                .map(|(name, (_, value))| (name.as_str(), value.as_bytes())),
        );
        let reply = gateway.send(post(&gateway, &parts)).await;
        assert_eq!(reply.status, 200, "{fields:?}: {}", reply.text());
        let answer = reply.json();
        assert_eq!(answer["output_format"], format, "{fields:?}");
        let picture = answer["data"][0]["b64_json"].as_str().unwrap();
        assert!(picture.starts_with(magic), "{fields:?}: {}", &picture[..20]);
        let picture = image::load_from_memory(&STANDARD.decode(picture).unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), size, "{fields:?}");
    }
    let sized = "select count(*) from edits where spec->'size' is not null";
    assert_eq!(
        gateway.context.number(sized).await,
        0,
        "the model's size is its own"
    );
    let parts: [(&str, &[u8]); 4] = [
        (IMAGE, &room),
        (r#"name="prompt""#, b"make the sofa red"),
        (r#"name="output_format""#, b"jpeg"),
        (r#"name="response_format""#, b"url"),
    ];
    let answer = gateway.send(post(&gateway, &parts)).await.json();
    let url = answer["data"][0]["url"].as_str().unwrap();
    assert!(
        url.starts_with("data:image/jpeg;base64,/9j/"),
        "{}",
        &url[..40]
    );
    for (field, value, says) in [
        (
            "output_format",
            "gif",
            "Invalid value: 'gif'. Supported values are: 'png', 'webp', and 'jpeg'.",
        ),
        (
            "output_compression",
            "101",
            "Invalid 'output_compression': integer above maximum value. Expected a value <= 100, but got 101 instead.",
        ),
        (
            "output_compression",
            "-1",
            "Invalid 'output_compression': integer below minimum value. Expected a value >= 0, but got -1 instead.",
        ),
        (
            "output_compression",
            "50",
            "Compression less than 100 is not supported for PNG output format",
        ),
    ] {
        let name = format!("name=\"{field}\"");
        let parts: [(&str, &[u8]); 3] = [
            (IMAGE, &room),
            (r#"name="prompt""#, b"make the sofa red"),
            (&name, value.as_bytes()),
        ];
        let error = gateway.send(post(&gateway, &parts)).await.json();
        assert_eq!(error["error"]["message"], says);
        assert_eq!(error["error"]["param"], field);
    }
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

/// Clients who can't reach the blob store are given no link to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_link_to_the_blob_store_where_downloads_go_through_the_gateway() {
    let gateway = Gateway::with(|settings| settings.downloads = Downloads::Proxy).await;
    let _worker = worker::start(&gateway).await;
    let request = post(
        &gateway,
        &[
            (IMAGE, &pictures::room()),
            PROMPT,
            (r#"name="response_format""#, b"url"),
        ],
    );
    let answer = gateway.send(request).await.json();
    let url = answer["data"][0]["url"].as_str().unwrap();
    assert!(url.starts_with("data:image/png;base64,"), "{url}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_taken_as_the_form_is() {
    let gateway = Gateway::start().await;
    let _worker = worker::start(&gateway).await;
    let address = |bytes: Vec<u8>| json!({ "image_url": format!("data:image/png;base64,{}", STANDARD.encode(bytes)) });
    let body = json!({
        "model": "gpt-image-1", "images": [address(pictures::room())], "mask": address(pictures::mask(true)),
        "prompt": "make the sofa red", "n": 2, "seed": 5, "stream": false,
    });
    let reply = gateway.post("/v1/images/edits", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["data"].as_array().unwrap().len(), 2);
    let edits = gateway.get("/v1/edits").await.json();
    let edits = edits["edits"].as_array().unwrap();
    assert!(edits.iter().all(|edit| edit["report"]["mask"] == true));
    let fetched = json!({ "images": [{ "image_url": "http://127.0.0.1/a.png" }], "prompt": "a" });
    let reply = gateway.post("/v1/images/edits", &fetched).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["param"]),
        (422, &json!("images"))
    );
    let two = post(
        &gateway,
        &[
            (IMAGE, &pictures::room()),
            (IMAGE, &pictures::room()),
            PROMPT,
        ],
    );
    let reply = gateway.send(two).await.json();
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.contains("more than one image"), "{message}");
    assert_eq!(reply["error"]["param"], "image");
}

/// Clients of OpenAI's that ask for what is not offered are told so in its form, whatever they ask with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_offered_says_what_is() {
    let gateway = Gateway::start().await;
    for path in ["/v1/images/generations", "/v1/images/variations"] {
        let body = json!({ "model": "gpt-image-1", "prompt": "a sofa" });
        let replies = [
            gateway.post(path, &body).await,
            gateway.get(path).await,
            gateway.send(gateway.request("DELETE", path)).await,
        ];
        for reply in replies {
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (404, Some("application/json")),
                "{path}: {}",
                reply.text()
            );
            let error = reply.json()["error"].clone();
            assert_eq!(
                (&error["type"], &error["code"], &error["param"]),
                (
                    &json!("invalid_request_error"),
                    &json!("not_found"),
                    &Value::Null
                )
            );
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("POST /v1/images/edits"), "{message}");
        }
    }
}

/// The events of a stream: name and data.
fn events(stream: &str) -> Vec<(String, Value)> {
    let blocks = stream
        .split("\n\n")
        .filter(|block| block.contains("data: "));
    blocks
        .map(|block| {
            let line = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap()
            };
            (
                line("event: ").to_owned(),
                serde_json::from_str(line("data: ")).unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_are_streamed_as_openai_does() {
    let gateway = Gateway::start().await;
    let mut manual = ManualWorker::new(&gateway).await;
    let stream = |prompt: &'static [u8]| {
        let parts = [
            (IMAGE, &pictures::room()[..]),
            (r#"name="prompt""#, prompt),
            (r#"name="stream""#, b"true"),
            (r#"name="partial_images""#, b"1"),
        ];
        let (request, address) = (post(&gateway, &parts), gateway.address);
        tokio::spawn(async move { http::send(address, request).await })
    };
    let reply = stream(b"make the sofa red");
    let (edit, ..) = claimed(&gateway, &mut manual).await;
    let watched = gateway.context.broker.clone();
    let preview = |step| Live::Preview {
        edit: edit.edit,
        session: None,
        epoch: edit.epoch,
        step,
        jpeg: format!("/9j/{step}"),
    };
    // Previews may be lost; of those that the gateway hears it passes on as many as were asked for.
    for step in 1..=5 {
        watched.publish_live(&preview(step));
    }
    manual.complete(&edit).await;
    let reply = reply.await.unwrap();
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("text/event-stream"))
    );
    let events = events(&reply.text());
    let (name, data) = events.last().unwrap();
    assert_eq!(
        (name.as_str(), &data["type"]),
        ("image_edit.completed", &json!("image_edit.completed"))
    );
    let picture = STANDARD.decode(data["b64_json"].as_str().unwrap()).unwrap();
    assert_eq!(
        (picture, &data["output_format"]),
        (pictures::room(), &json!("png"))
    );
    assert!(data["usage"]["total_tokens"].is_number() && data["created_at"].is_number());
    let partial = &events[..events.len() - 1];
    assert!(partial.len() <= 1, "{partial:?}");
    for (name, data) in partial {
        assert_eq!(
            (name.as_str(), &data["partial_image_index"]),
            ("image_edit.partial_image", &json!(0))
        );
        assert!(data["b64_json"].as_str().unwrap().starts_with("/9j/"));
    }

    let reply = stream(b"do the impossible");
    let (edit, ..) = claimed(&gateway, &mut manual).await;
    let failure = Failure::new(FailureClass::User, "instruction_bad", "that can't be done");
    manual.fail(&edit, failure).await;
    let events = self::events(&reply.await.unwrap().text());
    let [(name, data)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (name.as_str(), &data["error"]["code"]),
        ("error", &json!("edit_failed"))
    );
    assert_eq!(data["error"]["message"], "that can't be done");
}

/// Words that do not fit are found before the edit is queued, and by the name that this route has for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instruction_that_is_too_long_is_refused_at_once() {
    let gateway = Gateway::with(|settings| {
        settings.length = Some(Arc::new(|model, instruction| {
            (model.as_str() == "rooms" && instruction.len() > 20)
                .then(|| "it is too long".to_owned())
        }));
    })
    .await;
    let image = gateway.image().await;
    let long = "make the sofa red and the wall blue";
    let reply = gateway
        .post("/v1/edits", &json!({ "image": image, "instruction": long }))
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (422, "request_invalid")
    );
    assert_eq!(reply.json()["detail"], "instruction: it is too long");
    let request = post(
        &gateway,
        &[
            (IMAGE, &pictures::room()),
            (r#"name="prompt""#, long.as_bytes()),
        ],
    );
    let error = gateway.send(request).await.json()["error"].clone();
    assert_eq!(
        (&error["param"], &error["message"]),
        (&json!("prompt"), &json!("prompt: it is too long"))
    );
    assert_eq!(gateway.get("/v1/edits").await.json()["edits"], json!([]));
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
