//! Catalogs, whatever dies meanwhile: the command that sends one, at any byte; workers and coordinators that work it off.
//! `LIMEKILN_CATALOG` makes it large: 20 killed submits, and so many rooms of 1,024 pixels in twelve colors (0: a small form).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use limekiln_fleet_tests::binary::limekiln;
use limekiln_fleet_tests::cluster::Cluster;
use limekiln_fleet_tests::command::{NO_CACHE, command, key_create};
use limekiln_fleet_tests::member::Editor;
use limekiln_fleet_tests::random::Random;
use limekiln_fleet_tests::wait::wait;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::END;

const COLORS: [&str; 12] = [
    "red", "teal", "#1F6F8B", "orange", "green", "blue", "purple", "yellow", "brown", "white",
    "#333333", "pink",
];
/// Rows of the catalogs whose submits are killed: more than a request takes.
const ROWS: usize = 2_400;

/// A fleet, and a tenant of its own.
struct Catalogs {
    cluster: Cluster,
    key: String,
    url: String,
}

impl Catalogs {
    /// What `limekiln batch` prints.
    async fn batch(&self, args: &[&str]) -> Result<String> {
        let all = [&["batch"], args, &["--url", &self.url, "--key", &self.key]].concat();
        command(&self.cluster.namespace, &all).await
    }

    async fn status(&self, catalog: &str) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.batch(&["status", catalog, "--json"]).await?,
        )?)
    }

    /// That the counters are those of the rows, and every row is in one state, with an edit of its own that no other row has.
    async fn whole(&self, catalog: &str, rows: u64) -> Result<Value> {
        let view = self.status(catalog).await?;
        let count = |name: &str| view[name].as_u64().unwrap_or_default();
        let states = ["waiting", "live", "passed", "review", "rejected", "failed"];
        let all: u64 = states.map(count).iter().sum();
        ensure!(all + count("cancelled") == rows, "{view}");
        let sql = "select count(*), count(distinct number), min(number), max(number), count(edit_id), count(distinct edit_id)
            from catalog_rows where catalog_id = $1::uuid";
        let found: (i64, i64, i64, i64, i64, i64) = sqlx::query_as(sql)
            .bind(catalog)
            .fetch_one(&self.cluster.namespace.postgres)
            .await?;
        let rows = i64::try_from(rows)?;
        ensure!(
            (found.0, found.1, found.2, found.3) == (rows, rows, 1, rows) && found.4 == found.5,
            "{found:?}"
        );
        Ok(view)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_or_doubled_whatever_dies() -> Result<()> {
    let large: u32 = match std::env::var("LIMEKILN_CATALOG") {
        Ok(rooms) => rooms.parse().context("LIMEKILN_CATALOG")?,
        Err(_) => 0,
    };
    let dir = tempfile::tempdir()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::start(Editor::Lime, None, dir.path()).await?;
    let catalogs = Catalogs {
        key: key_create(&cluster.namespace, "catalogs").await?,
        url: cluster.fleet.gateways[0].url(),
        cluster,
    };
    let kills = if large > 0 { 20 } else { 4 };
    println!("{}", submits_die(&catalogs, dir.path(), kills).await?);
    let (rooms, side, colors) = match large {
        0 => (3, 192, 4),
        rooms => (rooms, 1024, COLORS.len()),
    };
    let fleet = the_fleet_dies(&catalogs, dir.path(), (rooms, side), &COLORS[..colors]).await?;
    println!("{fleet}");
    catalogs.cluster.fleet.is_whole()
}

/// Submits are killed at a random byte of what they say and hear, and run again.
async fn submits_die(catalogs: &Catalogs, dir: &Path, kills: u32) -> Result<String> {
    let drawn = dir.join("small");
    let drawn = drawn.display().to_string();
    command(
        &catalogs.cluster.namespace,
        &["rooms", "--count", "3", "--out", &drawn],
    )
    .await?;
    let manifest = format!("{drawn}/manifest.csv");
    let mut rows = "image,sku,color\n".to_owned();
    for row in 0..ROWS {
        let picture = row % 3;
        rows += &format!("{picture:05}-input.png,A-{row},#{:06x}\n", row * 7);
    }
    std::fs::write(&manifest, rows)?;
    let words = [
        "--instruction",
        "make the sofa {color}",
        "--preset",
        "recolor",
    ];
    let submit = |name: &str| {
        let all = [
            &["submit", &manifest][..],
            &words,
            &["--name", name, "--detach"],
        ]
        .concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let undisturbed = Relay::start(&catalogs.url, u64::MAX).await?;
    let run = async |name: &str, url: &str| {
        let args = submit(name);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let all = [
            &["batch"][..],
            &args,
            &["--url", url, "--key", &catalogs.key],
        ]
        .concat();
        command(&catalogs.cluster.namespace, &all).await
    };
    let first = run("undisturbed", &undisturbed.url).await?;
    catalogs.batch(&["cancel", &first]).await?;
    let bytes = undisturbed.carried.load(Ordering::SeqCst);
    let seed = u64::from(std::process::id());
    let mut random = Random::new(seed, "submits");
    for kill in 0..kills {
        let name = format!("kill {kill}");
        let at = random.of(1..bytes);
        let relay = Relay::start(&catalogs.url, at).await?;
        let mut child = tokio::process::Command::new(limekiln()?)
            .arg("batch")
            .args(submit(&name))
            .args(["--url", &relay.url, "--key", &catalogs.key])
            .env("XDG_CACHE_HOME", NO_CACHE)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        tokio::select! {
            () = relay.reached.notified() => child.kill().await?,
            // Some bytes fewer than at first.
            _ = child.wait() => {}
        }
        let catalog = run(&name, &catalogs.url).await.context(name)?;
        let view = catalogs.whole(&catalog, ROWS as u64).await?;
        ensure!(view["state"] == "sealed", "{view}");
        let others = "select count(*) from catalog_rows a
            full join catalog_rows b on b.number = a.number and b.catalog_id = $2::uuid
            where a.catalog_id = $1::uuid and b.digest is distinct from a.digest";
        let others: i64 = sqlx::query_scalar(others)
            .bind(&first)
            .bind(&catalog)
            .fetch_one(&catalogs.cluster.namespace.postgres)
            .await?;
        ensure!(others == 0, "killed at byte {at}: {others} rows are others");
        catalogs.batch(&["cancel", &catalog]).await?;
    }
    Ok(format!(
        "{kills} submits of {bytes} bytes killed, by the seed {seed}"
    ))
}

/// A catalog of rooms in many colors, while all that works it off is killed twice.
async fn the_fleet_dies(
    catalogs: &Catalogs,
    dir: &Path,
    (rooms, side): (u32, u32),
    colors: &[&str],
) -> Result<String> {
    let (drawn, done) = (dir.join("rooms"), dir.join("done"));
    let (drawn, done) = (drawn.display().to_string(), done.display().to_string());
    let (count, size) = (rooms.to_string(), side.to_string());
    let draw = ["rooms", "--count", &count, "--size", &size, "--out", &drawn];
    command(&catalogs.cluster.namespace, &draw).await?;
    let manifest = format!("{drawn}/manifest.csv");
    let scenes = std::fs::read_to_string(format!("{drawn}/scenes.jsonl"))?;
    let mut rows = "image,sku,object\n".to_owned();
    for (number, scene) in scenes.lines().enumerate() {
        let scene: Value = serde_json::from_str(scene)?;
        let object = scene["object"].as_str().context("no object")?;
        rows += &format!("{number:05}-input.png,{number:05},{object}\n");
    }
    std::fs::write(&manifest, rows)?;
    let set = format!("color={}", colors.join(","));
    let submit = [
        "submit",
        &manifest,
        "--preset",
        "recolor",
        "--instruction",
        "make the {object} {color}",
        "--set",
        &set,
        "--detach",
    ];
    let all = u64::from(rooms) * colors.len() as u64;
    let began = Instant::now();
    let catalog = catalogs.batch(&submit).await?;
    let fleet = &catalogs.cluster.fleet;
    let ended = |view: &Value| {
        let count = |name: &str| view[name].as_u64().unwrap_or_default();
        count("passed") + count("review") + count("failed")
    };
    for death in [0, 1] {
        let far = all * (death as u64 + 1) / 4;
        wait("rows to end", END, async || {
            Ok(ended(&catalogs.status(&catalog).await?) >= far)
        })
        .await?;
        let dead = [
            &fleet.workers[death],
            &fleet.coordinators[0],
            &fleet.coordinators[1],
        ];
        dead.iter().for_each(|member| member.kill9());
        for member in dead {
            member.start_again()?;
        }
    }
    let patience = END.max(Duration::from_secs(4 * all));
    wait("the catalog to end", patience, async || {
        Ok(catalogs.status(&catalog).await?["state"] == "ended")
    })
    .await?;
    let took = began.elapsed();
    let view = catalogs.whole(&catalog, all).await?;
    ensure!(ended(&view) == all, "{view}");
    let made: (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where state = 'succeeded') from edits where batch_id = $1::uuid",
    )
    .bind(&catalog)
    .fetch_one(&catalogs.cluster.namespace.postgres)
    .await?;
    ensure!(
        made.0 == i64::try_from(all)?,
        "{made:?} edits of {all} rows"
    );
    let files = [
        "results",
        &catalog,
        "--out",
        &done,
        "--files",
        "{sku}/{color}.png",
        "--review",
    ];
    catalogs.batch(&files).await?;
    let lines = std::fs::read_to_string(format!("{done}/results.csv"))?;
    ensure!(lines.lines().count() as u64 == all + 1, "{lines}");
    let mut pictures = BTreeSet::new();
    for folder in std::fs::read_dir(&done)? {
        let folder = folder?.path();
        if folder.is_dir() {
            for file in std::fs::read_dir(folder)? {
                pictures.insert(file?.path());
            }
        }
    }
    let count = |name: &str| view[name].as_u64().unwrap_or_default();
    ensure!(
        pictures.len() as u64 == count("passed") + count("review"),
        "{} files: {view}",
        pictures.len()
    );
    let again = [&files[..], &["--json"]].concat();
    let again: Value = serde_json::from_str(&catalogs.batch(&again).await?)?;
    ensure!(again["downloaded"] == 0, "{again}");
    Ok(format!(
        "{all} rows in {took:?}, with two deaths of each: {view}"
    ))
}

/// Stands before a gateway, and counts the bytes of both directions; from `limit` on none pass.
struct Relay {
    url: String,
    carried: Arc<AtomicU64>,
    reached: Arc<Notify>,
}

impl Relay {
    async fn start(gateway: &str, limit: u64) -> Result<Self> {
        let gateway = gateway.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (carried, reached) = (Arc::<AtomicU64>::default(), Arc::<Notify>::default());
        let (count, notify) = (Arc::clone(&carried), Arc::clone(&reached));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&gateway).await else {
                    continue;
                };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let held = (limit, Arc::clone(&count), Arc::clone(&notify));
                tokio::spawn(carry(from_client, to_server, held.clone()));
                tokio::spawn(carry(from_server, to_client, held));
            }
        });
        Ok(Self {
            url,
            carried,
            reached,
        })
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (limit, count, reached): (u64, Arc<AtomicU64>, Arc<Notify>),
) {
    let mut buffer = vec![0; 4096];
    while let Ok(read) = from.read(&mut buffer).await {
        let before = count.fetch_add(read as u64, Ordering::SeqCst);
        let passes = limit.saturating_sub(before).min(read as u64) as usize;
        if to.write_all(&buffer[..passes]).await.is_err() || read == 0 {
            break;
        }
        if before + read as u64 >= limit {
            reached.notify_one();
            // Held open, as by a network that stopped, until the dead process's end is seen.
            while matches!(from.read(&mut buffer).await, Ok(1..)) {}
            break;
        }
    }
}
