//! What the commands say of services: those that other programs name, and those that refuse.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use limekiln_jobs::api::{AcceptedEdit, ImageLinks, ImageView};
use limekiln_jobs::{Digest, EditId, EditLinks, ImageId, StateName};
use serde_json::json;
use time::OffsetDateTime;

use crate::context::TestContext;
use crate::files::{gradient, png};

/// Answers every request with this status line and nothing else, and tells the heads of the requests.
fn answering(status: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heads, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let heads = heads.clone();
            std::thread::spawn(move || drop(answer(stream.unwrap(), status, &heads)));
        }
    });
    (address, told)
}

fn answer(
    mut stream: TcpStream,
    status: &str,
    heads: &mpsc::Sender<String>,
) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    let head: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    drop(heads.send(head.join("\n")));
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

fn said(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(!done.status.success());
    String::from_utf8(done.stderr).unwrap()
}

#[test]
fn the_region_is_what_the_sdk_finds() {
    let context = TestContext::new();
    let profile = context.write(
        "config",
        "[default]\nregion = eu-central-1\n[profile other]\nregion = ap-south-1\n",
    );
    for (set, region) in [
        (&[][..], "eu-central-1"),
        (&[("AWS_PROFILE", "other")], "ap-south-1"),
        (&[("AWS_REGION", "sa-east-1")], "sa-east-1"),
        (
            &[("AWS_DEFAULT_REGION", "ca-west-1"), ("AWS_REGION", "")],
            "ca-west-1",
        ),
        (&[("AWS_CONFIG_FILE", "/nonexistent")], "us-east-1"),
    ] {
        let (address, heads) = answering("403 Forbidden");
        let endpoint = format!("http://{address}");
        let mut doctor = context.command(&["doctor", "--no-model", "--s3-endpoint", &endpoint]);
        for name in [
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_PROFILE",
            "DATABASE_URL",
            "AMQP_URL",
        ] {
            doctor.env_remove(name);
        }
        doctor
            .env("AWS_CONFIG_FILE", &profile)
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .env("AWS_ACCESS_KEY_ID", "a")
            .env("AWS_SECRET_ACCESS_KEY", "b")
            .envs(set.iter().copied());
        drop(doctor.output().unwrap());
        let head = heads.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(head.contains(&format!("/{region}/s3/")), "{set:?}: {head}");
    }
}

#[test]
fn a_proxy_that_is_in_the_way_is_named() {
    let context = TestContext::new();
    context.write("room.png", png(gradient(64, 48)));
    let submit = |url: &'static str| {
        let mut command =
            context.command(&["submit", "room.png", "b", "--key", "lk_x", "--url", url]);
        for name in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "https_proxy",
            "all_proxy",
            "no_proxy",
        ] {
            command.env_remove(name);
        }
        command
    };
    // One that answers in the gateway's place.
    let (address, _heads) = answering("403 Forbidden");
    let proxy = format!("http://me:secret@{address}");
    let line = said(submit("http://gateway.example:8080/v1").env("http_proxy", &proxy));
    for part in [
        &format!("the proxy http://{address} answered 403"),
        "NO_PROXY=gateway.example",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert!(
        !line.contains("secret") && line.lines().count() == 1,
        "{line}"
    );
    // The same of the hub.
    let args = [
        "edit",
        "room.png",
        "make the sofa red",
        "--model",
        "hf:owner/name",
    ];
    let mut edit = context.command(&args);
    edit.env_remove("HF_HUB_OFFLINE")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env("HF_ENDPOINT", "http://hub.example")
        .env("http_proxy", &proxy);
    let line = said(&mut edit);
    let part = format!("through the proxy http://{address}) answered 403");
    assert!(line.contains(&part) && !line.contains("secret"), "{line}");
    // One that is not there; the same through a tunnel.
    let dead = |url, variable: &str| {
        let line = said(submit(url).env(variable, "http://127.0.0.1:9"));
        for part in [
            "through the proxy http://127.0.0.1:9",
            "refused",
            "NO_PROXY=gateway.example",
        ] {
            assert!(line.contains(part), "{url}: {line}");
        }
    };
    // Side by side, since the command tries for some seconds.
    std::thread::scope(|scope| {
        scope.spawn(|| dead("http://gateway.example", "http_proxy"));
        scope.spawn(|| dead("https://gateway.example", "https_proxy"));
    });
}

/// A gateway that accepts everything and has so many workers.
fn accepting(workers: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (image, edit) = (ImageId::new(), EditId::new());
    let now = OffsetDateTime::UNIX_EPOCH;
    let image = json!(ImageView {
        id: image,
        media_type: "image/png".to_owned(),
        bytes: 1,
        width: 64,
        height: 48,
        digest: Digest::of(b"room"),
        created_at: now,
        links: ImageLinks::new(image),
    });
    let edit = json!(AcceptedEdit {
        id: edit,
        state: StateName::Queued,
        seed: 0,
        created_at: now,
        links: EditLinks::new(edit, &[]),
    });
    let model = json!({
        "id": "rooms", "object": "model", "created": 0, "owned_by": "limekiln", "default": true, "workers": workers,
        "slots": workers, "busy": 0, "limits": null,
    });
    let models = json!({ "object": "list", "data": [model], "presets": ["fast"] });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            reader.read_line(&mut line).unwrap();
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).unwrap();
                if let Some(bytes) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = bytes.trim().parse().unwrap();
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let body = match path.as_str() {
                "/v1/images" => &image,
                "/v1/edits" => &edit,
                _ => &models,
            };
            let body = body.to_string();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    url
}

#[test]
fn an_edit_that_nobody_can_start_says_so() {
    let context = TestContext::new();
    context.write("room.png", png(gradient(64, 48)));
    for (workers, says) in [(0, true), (1, false)] {
        let url = accepting(workers);
        let args = [
            "submit", "room.png", "b", "--key", "lk_x", "--detach", "--url", &url,
        ];
        let done = context
            .command(&args)
            .env("NO_PROXY", "*")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(
            said.contains("no worker holds the model rooms"),
            says,
            "{said}"
        );
    }
}

#[test]
fn what_is_no_gateway_is_said() {
    let context = TestContext::new();
    context.write("room.png", png(gradient(64, 48)));
    let (address, _heads) = answering("404 Not Found");
    let url = format!("http://{address}/v1");
    let mut submit = context.command(&["submit", "room.png", "b", "--key", "lk_x", "--url", &url]);
    let line = said(submit.env("NO_PROXY", "*"));
    assert!(
        line.contains("404 Not Found") && line.contains("is it a Limekiln gateway?"),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1, "{line}");
}
