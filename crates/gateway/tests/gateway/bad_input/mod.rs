//! Whatever is wrong with a request: its status, its code, nothing stored, and the gateway goes on.

mod addresses;
mod bodies;
mod forms;
mod uploads;
mod wire;

pub(crate) use forms::form;

use std::collections::BTreeSet;
use std::time::Duration;

use limekiln_fixture::PATIENCE;
use limekiln_jobs::{EditId, ImageId};
use serde_json::Value;

use crate::support::http::{self, Request};
use crate::support::worker::{self, Worker};
use crate::support::{Gateway, pictures};

/// What every case may name.
struct Ground {
    gateway: Gateway,
    /// Our image, edit (done) and queued edit.
    image: ImageId,
    done: EditId,
    queued: EditId,
    _worker: Option<Worker>,
}

/// A request that must be refused.
struct Case {
    name: &'static str,
    request: Request,
    status: u16,
    /// Of the problem document, or of OpenAI's error.
    code: &'static str,
}

fn case(name: &'static str, request: Request, status: u16, code: &'static str) -> Case {
    Case {
        name,
        request,
        status,
        code,
    }
}

impl Ground {
    async fn new() -> Self {
        let gateway = Gateway::with(|settings| {
            settings.limits.upload_bytes = 256 << 10;
            settings.limits.pixels_max = 1_000_000;
            settings.limits.side_max = 2048;
            settings.timeouts.header = Duration::from_millis(300);
            settings.timeouts.body_idle = Duration::from_millis(300);
            settings.timeouts.body = Duration::from_millis(900);
        })
        .await;
        let working = worker::start(&gateway).await;
        let done = gateway.edit().await;
        limekiln_testbed::until("an edit is done", PATIENCE, async || {
            gateway.get(&format!("/v1/edits/{done}")).await.json()["state"] == "succeeded"
        })
        .await;
        drop(working);
        let queued = gateway.edit().await;
        let image = gateway.image().await;
        Self {
            gateway,
            image,
            done,
            queued,
            _worker: None,
        }
    }

    /// The gateway still works, and what could be stored before can be still.
    async fn alive(&self, after: &str) {
        let reply = self.gateway.get("/v1/me").await;
        assert_eq!(reply.status, 200, "after {after}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_request_is_refused_and_leaves_nothing() {
    let ground = Ground::new().await;
    let documented = limekiln_gateway::openapi(&ground.gateway.state);
    let parts = [
        addresses::keys,
        addresses::ids,
        addresses::queries,
        uploads::all,
        bodies::unread,
        bodies::requests,
        forms::all,
    ];
    let cases: Vec<_> = parts.iter().flat_map(|part| part(&ground)).collect();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases of one name");
    let count = cases.len();
    let before = ground.gateway.stored().await;
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.name;
        if let Err(message) = refused(&ground, &documented, case).await {
            wrong.push(format!("{name}: {message}"));
        }
        if ground.gateway.stored().await != before {
            wrong.push(format!("{name}: stored something"));
            break;
        }
        ground.alive(name).await;
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{count} bad requests refused; nothing stored, the gateway alive after each");
}

/// Sends the request; whether it was refused as it should be.
async fn refused(ground: &Ground, documented: &Value, case: Case) -> Result<(), String> {
    let (method, path) = target(&case.request);
    let reply = ground.gateway.send(case.request).await;
    let openai = path == "/v1/images/edits";
    let media_type = if openai {
        "application/json"
    } else {
        "application/problem+json"
    };
    if reply.status != case.status || reply.header("content-type") != Some(media_type) {
        return Err(format!("{} {}", reply.status, reply.text()));
    }
    let found = if openai {
        reply.json()["error"]["code"].as_str().map(str::to_owned)
    } else {
        Some(reply.code())
    };
    if found.as_deref() != Some(case.code) {
        return Err(format!("{found:?}: {}", reply.text()));
    }
    // What leads nowhere is described nowhere.
    if case.code == "method_not_allowed" || case.code == "not_found" {
        return Ok(());
    }
    if described(documented, &method, &path, case.status) {
        Ok(())
    } else {
        Err(format!(
            "{} is not described for {method} {path}",
            case.status
        ))
    }
}

fn target(request: &Request) -> (String, String) {
    let mut parts = request.line.split(' ');
    let method = parts.next().unwrap().to_ascii_lowercase();
    let path = parts.next().unwrap().split('?').next().unwrap().to_owned();
    (method, path)
}

/// Whether the API's description knows that this may happen.
fn described(api: &Value, method: &str, path: &str, status: u16) -> bool {
    let fits = |pattern: &str| {
        let (a, b): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
        a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.starts_with('{') || a == b)
    };
    // The one with the fewest placeholders is the one that routing takes.
    let paths = api["paths"].as_object().into_iter().flatten();
    paths
        .filter(|(pattern, item)| fits(pattern) && item.get(method).is_some())
        .min_by_key(|(pattern, _)| pattern.matches('{').count())
        .is_some_and(|(_, item)| item[method]["responses"].get(status.to_string()).is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_on_the_wire_stores_nothing() {
    let ground = Ground::new().await;
    let before = ground.gateway.stored().await;
    let cases = wire::all(&ground);
    let count = cases.len();
    for wire::Case {
        name,
        bytes,
        hang_up,
        statuses,
    } in cases
    {
        let reply = http::raw(ground.gateway.address, &bytes, hang_up, false).await;
        assert!(
            statuses.contains(&reply.status),
            "{name}: {} {}",
            reply.status,
            reply.text()
        );
        assert_eq!(
            ground.gateway.stored().await,
            before,
            "{name} stored something"
        );
        ground.alive(name).await;
    }
    println!("{count} broken exchanges ended; nothing stored, the gateway alive after each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_are_bounded_by_what_their_heads_say() {
    let ground = Ground::new().await;
    let before = ground.gateway.stored().await;
    // 8 KB that would be 40 GB of pixels; a decoder that believed it would be killed.
    let started = std::time::Instant::now();
    let bomb = pictures::png_claiming(100_000, 100_000);
    let request = ground
        .gateway
        .request("POST", "/v1/images")
        .body("image/png", bomb);
    let reply = ground.gateway.send(request).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (422, "image_pixels_limit")
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(ground.gateway.stored().await, before);
}
