//! One edit, end to end: on three real services with two of each process, and in `limekiln dev` killed in the middle. Whose
//! a bucket is, and whose services `limekiln dev` takes.

mod bucket;
mod catalogs;
mod dev;
mod gone;
mod originals;
mod sessions;
mod told;
mod turns;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use image::{GrayImage, Luma, Rgba, RgbaImage};
use limekiln_fleet_tests::binary::limekiln;
use limekiln_fleet_tests::client::Client;
use limekiln_fleet_tests::cluster::Cluster;
use limekiln_fleet_tests::command::command;
use limekiln_fleet_tests::dev::dev;
use limekiln_fleet_tests::member::{Editor, counted};
use limekiln_fleet_tests::wait::wait;
use limekiln_fleet_tests::watch::{Seen, follow};
use limekiln_testbed::{Process, port_free};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// How many checkpoints a worker saved.
const CHECKPOINTS: &[&str] = &["limekiln_checkpoints_total"];
const END: Duration = Duration::from_secs(180);

fn http() -> reqwest::Client {
    // The first of the tests sets it; for the others it is set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// A drawn room and what to do in it.
async fn room(dir: &Path) -> Result<(Bytes, String)> {
    let out = dir.join("rooms");
    let status = tokio::process::Command::new(limekiln()?)
        .args(["rooms", "--count", "1", "--out"])
        .arg(&out)
        .stdout(std::process::Stdio::null())
        .status()
        .await?;
    ensure!(status.success(), "limekiln rooms");
    let scenes = std::fs::read_to_string(out.join("scenes.jsonl"))?;
    let scene: Value = serde_json::from_str(scenes.lines().next().context("no scene")?)?;
    let picture = std::fs::read(out.join("00000-input.png"))?.into();
    Ok((
        picture,
        scene["instruction"]
            .as_str()
            .context("no instruction")?
            .to_owned(),
    ))
}

fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82")
}

/// Every artifact of an edit, compared with what the API says of it.
async fn artifacts(client: &Client, edit: Uuid) -> Result<Value> {
    let view = client.edit(edit).await?;
    ensure!(view["state"] == "succeeded", "{view}");
    for kind in ["result", "roi", "segments", "attention", "overlay"] {
        let bytes = client.download(&format!("/v1/edits/{edit}/{kind}")).await?;
        ensure!(
            is_png(&bytes),
            "{kind} is no whole PNG: {} bytes",
            bytes.len()
        );
        if kind == "overlay" {
            // Made when it is asked for.
            continue;
        }
        let listed = view["artifacts"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["kind"] == kind))
            .with_context(|| format!("{kind} is not among the artifacts of {view}"))?;
        ensure!(
            listed["digest"] == blake3::hash(&bytes).to_hex().as_str(),
            "{kind} has another digest than {listed}"
        );
    }
    Ok(view)
}

fn kinds(seen: &Seen) -> Vec<&str> {
    seen.events
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_services_and_two_of_each_process() -> Result<()> {
    http();
    let dir = tempfile::tempdir()?;
    let cluster = Cluster::start(Editor::Lime, None, dir.path()).await?;
    let client = &cluster.clients[0];
    let (picture, instruction) = room(dir.path()).await?;
    let image = client.upload(picture).await?;
    let body = json!({ "model": "rooms", "image": image, "instruction": instruction, "seed": 5 });
    let edit = client.submit("flow", &body).await?;
    ensure!(
        client.submit("flow", &body).await? == edit,
        "the same key made another edit"
    );
    let other = json!({ "model": "rooms", "image": image, "instruction": "another", "seed": 5 });
    let reused = client
        .send(Method::POST, "/v1/edits", |request| {
            request.header("idempotency-key", "flow").json(&other)
        })
        .await?;
    ensure!(
        reused.json()?["code"] == "idempotency_key_reused",
        "{reused:?}"
    );

    let seen = follow(client, edit, END).await?;
    let kinds = kinds(&seen);
    ensure!(
        kinds[..2] == ["queued", "started"] && kinds.last() == Some(&"succeeded"),
        "{kinds:?}"
    );
    ensure!(
        kinds.contains(&"progress"),
        "no progress was told: {kinds:?}"
    );
    ensure!(seen.previews > 0, "no preview was shown");
    artifacts(client, edit).await?;

    // The next turn starts from the result, asked for before anybody knows whether there is one.
    let turn = client
        .submit(
            "turn",
            &json!({ "model": "rooms", "parent": edit, "instruction": instruction, "seed": 6 }),
        )
        .await?;
    follow(client, turn, END).await?;
    artifacts(client, turn).await?;

    // Nobody else sees it.
    let stranger = cluster.clients[1]
        .send(
            Method::GET,
            &format!("/v1/edits/{edit}/result"),
            |request| request,
        )
        .await?;
    ensure!(stranger.status == 404, "{stranger:?}");
    gone::deleted(&cluster, edit, turn).await?;
    gone::erased(&cluster).await?;
    webhook_secret(&cluster).await?;
    cluster.fleet.is_whole()
}

/// What the operator's command shows and replaces is what the tenant's own route shows.
async fn webhook_secret(cluster: &Cluster) -> Result<()> {
    let keys = async |rest: &[&str]| {
        let all = [&["keys", "webhook-secret", "--tenant", "tenant-0"], rest];
        command(&cluster.namespace, &all.concat()).await
    };
    let shown = async || {
        let path = "/v1/webhooks/secret";
        let answer = cluster.clients[0].send(Method::GET, path, |request| request);
        answer.await?.json()
    };
    let first = keys(&[]).await?;
    ensure!(shown().await?["secret"] == first, "{first}");
    let both = keys(&["--rotate", "--overlap-hours", "1"]).await?;
    let (second, former) = both.split_once('\n').context("no former secret")?;
    ensure!(
        second != first && former.starts_with(&format!("{first}  until ")),
        "{both}"
    );
    ensure!(shown().await?["former"]["secret"] == first, "{both}");
    let early = keys(&["--rotate"]).await;
    ensure!(
        early.is_err_and(|error| error.to_string().contains("--overlap-hours 0")),
        "replaced twice"
    );
    let json = keys(&["--rotate", "--overlap-hours", "0", "--json"]).await?;
    ensure!(
        shown().await? == serde_json::from_str::<Value>(&json)?,
        "{json}"
    );
    Ok(())
}

/// `limekiln dev` on a folder.
struct Dev {
    process: Process,
    client: Client,
    url: String,
    key: String,
}

impl Dev {
    async fn start(data: &TempDir, port: u16, http: &reqwest::Client) -> Result<Self> {
        Self::start_with(data, port, http, &[]).await
    }

    /// With these variables exported.
    async fn start_with(
        data: &TempDir,
        port: u16,
        http: &reqwest::Client,
        exported: &[(String, String)],
    ) -> Result<Self> {
        Self::start_of(data, port, http, exported, &[]).await
    }

    /// With these arguments, too.
    async fn start_of(
        data: &TempDir,
        port: u16,
        http: &reqwest::Client,
        exported: &[(String, String)],
        more: &[&str],
    ) -> Result<Self> {
        let quick = ["--lease", "2s", "--checkpoint-every", "50ms"];
        let args = [&quick, more].concat();
        // One cache for all, so that Postgres is unpacked once, unless the test is about that.
        let own = exported.iter().any(|(name, _)| name == "LIMEKILN_CACHE");
        let shared = (!own).then_some((
            "LIMEKILN_CACHE",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/dev-cache"),
        ));
        let exported = exported
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let exported: Vec<_> = exported.chain(shared).collect();
        let (process, hello) = dev(data.path(), port, &args, &exported).await?;
        let (url, key) = (
            hello["url"].as_str().context("no url")?,
            hello["key"].as_str().context("no key")?,
        );
        Ok(Self {
            client: Client::new(http.clone(), vec![url.to_owned()], key),
            process,
            url: url.to_owned(),
            key: key.to_owned(),
        })
    }

    /// A command that edits `clear.png` with four steps and keeps a mask's outside, as `keep` says; what it says on stderr.
    async fn edit(&self, dir: &Path, command: &str, output: &str, keep: bool) -> Result<String> {
        let mut edit = tokio::process::Command::new(limekiln()?);
        edit.current_dir(dir)
            .args([command, "clear.png", "make the sofa red", "--seed", "3"])
            .args(["--steps", "4", "-o", output, "--artifacts", command]);
        if keep {
            edit.args(["--mask", "mask.png"]);
        } else {
            edit.args(["--finish", "none"]);
        }
        if command == "submit" {
            edit.args(["--url", &self.url, "--key", &self.key]);
        }
        let done = edit.output().await?;
        let said = String::from_utf8(done.stderr)?;
        ensure!(done.status.success(), "{command}: {said}");
        Ok(said)
    }

    async fn submit(&self, image: Uuid, instruction: &str, key: &str) -> Result<Uuid> {
        let body = json!({
            "image": image,
            "instruction": instruction,
            "seed": 11,
            // Longer than usual, so that there is a middle.
            "options": { "edit": { "steps": 120 } },
        });
        self.client.submit(key, &body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_killed_in_the_middle_ends_with_the_same_bytes() -> Result<()> {
    let http = http();
    let data = tempfile::tempdir()?;
    let port = port_free();
    let dev = Dev::start(&data, port, &http).await?;
    let (picture, instruction) = room(data.path()).await?;
    let image = dev.client.upload(picture).await?;
    let undisturbed = dev.submit(image, &instruction, "undisturbed").await?;
    follow(&dev.client, undisturbed, END).await?;
    let expected = artifacts(&dev.client, undisturbed).await?;

    let edit = dev.submit(image, &instruction, "killed").await?;
    let mut dev = dev;
    let mut last_step = 0;
    for _ in 0..2 {
        // In the second stage, further than at the last kill, and with a checkpoint of its own.
        let before = counted(&http, &dev.url, CHECKPOINTS).await?;
        wait("the edit to be in its middle", END, async || {
            let view = dev.client.edit(edit).await?;
            ensure!(
                view["state"] != "succeeded",
                "it ended before it could be killed"
            );
            let step = view["step"].as_u64().unwrap_or_default();
            let far = view["state"] == "running"
                && view["stage"] == "edit"
                && step > last_step
                && counted(&http, &dev.url, CHECKPOINTS).await? > before;
            if far {
                last_step = step;
            }
            Ok(far)
        })
        .await?;
        tokio::task::block_in_place(|| dev.process.kill9());
        dev = Dev::start(&data, port, &http).await?;
    }
    let seen = follow(&dev.client, edit, END).await?;
    let found = artifacts(&dev.client, edit).await?;
    ensure!(
        found["attempts"] == 0,
        "deaths after progress were charged: {found}"
    );
    let starts: Vec<u64> = seen
        .events
        .iter()
        .filter(|event| event["kind"] == "started")
        .filter_map(|event| event["data"]["checkpoint_step"].as_u64())
        .collect();
    ensure!(
        starts.len() == 3 && starts[0] == 0 && starts[1] > 0 && starts[2] > starts[1],
        "claims began at {starts:?}"
    );
    let digests = |view: &Value| {
        let mut all: Vec<_> = view["artifacts"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["kind"] != "report")
            .map(|one| (one["kind"].to_string(), one["digest"].to_string()))
            .collect();
        all.sort();
        all
    };
    ensure!(
        digests(&found) == digests(&expected),
        "killed twice and resumed, the edit has other bytes: {:?}, undisturbed {:?}",
        digests(&found),
        digests(&expected)
    );
    Ok(())
}

/// A picture whose left half is transparent and hides black, and a mask of its middle.
fn half_clear(dir: &Path) -> Result<()> {
    let clear = RgbaImage::from_fn(150, 100, |x, y| match x {
        ..75 => Rgba([0; 4]),
        _ => Rgba([x as u8, 2 * y as u8, 90, if y < 20 { 128 } else { 255 }]),
    });
    clear.save(dir.join("clear.png"))?;
    let mask = GrayImage::from_fn(150, 100, |x, _| {
        Luma([if (60..100).contains(&x) { 255 } else { 0 }])
    });
    mask.save(dir.join("mask.png"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_and_the_worker_write_the_same_files() -> Result<()> {
    let http = http();
    let data = tempfile::tempdir()?;
    let dir = data.path();
    half_clear(dir)?;
    let dev = Dev::start(&data, port_free(), &http).await?;
    let files = |command: &str| -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir.join(command))? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if name.ends_with(".png") {
                files.insert(name.clone(), std::fs::read(dir.join(command).join(name))?);
            }
        }
        Ok(files)
    };
    for keep in [false, true] {
        for format in ["jpg", "png", "webp"] {
            let (here, there) = (format!("edit.{format}"), format!("submit.{format}"));
            for (command, output) in [("edit", &here), ("submit", &there)] {
                let said = dev.edit(dir, command, output, keep).await?;
                ensure!(
                    said.contains("warning: the picture is partly transparent"),
                    "{command} {output}: {said}"
                );
                ensure!(
                    said.contains("warning: JPEG changes every pixel") == (keep && format == "jpg"),
                    "{command} {output}: {said}"
                );
            }
            ensure!(
                std::fs::read(dir.join(&here))? == std::fs::read(dir.join(&there))?,
                "{here} and {there} differ, outside kept: {keep}"
            );
            ensure!(
                files("edit")? == files("submit")?,
                "the stages differ, outside kept: {keep}"
            );
        }
    }
    ensure!(files("edit")?.len() == 5, "a stage is missing");
    // What the transparent half hides does not come to light in a format without transparency.
    let opaque = image::open(dir.join("submit.jpg"))?.into_rgb8();
    ensure!(
        opaque.get_pixel(20, 50).0.iter().all(|value| *value > 250),
        "{:?}",
        opaque.get_pixel(20, 50)
    );
    Ok(())
}
