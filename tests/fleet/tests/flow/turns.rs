//! Many turns on one picture, with a worker killed now and then: all that no turn was about is the upload's own, by what the command
//! alone tells. `LIMEKILN_TURNS` says how many (3).

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use limekiln_fleet_tests::cluster::Cluster;
use limekiln_fleet_tests::command::{command, key_create};
use limekiln_fleet_tests::member::Editor;
use limekiln_fleet_tests::wait::wait;
use serde_json::Value;

use crate::END;

/// A worker is killed with every so many turns.
const KILL_EVERY: usize = 10;
const INSTRUCTIONS: [&str; 5] = [
    "make the sofa red",
    "make the wall blue",
    "make the lamp green",
    "make the table yellow",
    "make the sofa teal",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_no_turn_was_about_is_the_uploads_own() -> Result<()> {
    let turns: usize = match std::env::var("LIMEKILN_TURNS") {
        Ok(turns) => turns.parse().context("LIMEKILN_TURNS")?,
        Err(_) => 3,
    };
    let side = if turns < KILL_EVERY { "192" } else { "1024" };
    let dir = tempfile::tempdir()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::start(Editor::Lime, None, dir.path()).await?;
    let key = key_create(&cluster.namespace, "turns").await?;
    let url = cluster.fleet.gateways[0].url();
    let run = async |args: &[&str]| command(&cluster.namespace, args).await;
    let asked = async |args: &[&str]| {
        let all = [args, &["--url", &url, "--key", &key]].concat();
        run(&all).await
    };
    let path = |name: &str| dir.path().join(name).display().to_string();
    let rooms = path("drawn");
    // Photographs of rich rooms are JPEG (4:2:0), their recolored ones PNG.
    run(&[
        "rooms", "--style", "rich", "--count", "2", "--size", side, "--out", &rooms,
    ])
    .await?;
    for (room, file) in [
        ("00000-input.jpg", "now.jpg"),
        ("00000-target.png", "now.png"),
    ] {
        let (room, now, mattes) = (format!("{rooms}/{room}"), path(file), path("mattes.png"));
        let session = asked(&["session", "new", &room]).await?;
        let began = Instant::now();
        for turn in 1..=turns {
            let words = INSTRUCTIONS[turn % INSTRUCTIONS.len()];
            asked(&["session", "edit", &session, words, "--detach"]).await?;
            let killed = (turn % KILL_EVERY == 0 || turn == turns.min(2))
                .then(|| &cluster.fleet.workers[turn % 2]);
            if let Some(worker) = killed {
                worker.kill9();
            }
            if turn % KILL_EVERY == 0 || turn == turns {
                wait("the turns to end", END, async || {
                    let tree = asked(&["session", "show", &session, "--json"]).await?;
                    let tree: Value = serde_json::from_str(&tree)?;
                    let states = tree["tree"].as_array().context("no turns")?;
                    Ok(states.iter().all(|turn| turn["state"] == "succeeded"))
                })
                .await?;
            }
            if let Some(worker) = killed {
                worker.start_again()?;
            }
        }
        let took = began.elapsed();
        asked(&["session", "show", &session, "-o", &now, "--matte", &mattes]).await?;
        let verdict = run(&["verify", "--json", &room, &now, &mattes]).await?;
        let verdict: Value = serde_json::from_str(&verdict)?;
        ensure!(verdict["kept"] == true, "{verdict}");
        ensure!(
            verdict["blocks"].is_null() != file.ends_with("jpg"),
            "{verdict}"
        );
        let kept = "select coalesce(sum(a.bytes) filter (where a.kind = 'patch'), 0)::bigint,
            count(*) filter (where a.kind = 'result') from artifacts a join edits e on e.id = a.edit_id
            where e.session_id = $1::uuid";
        let (bytes, whole): (i64, i64) = sqlx::query_as(kept)
            .bind(&session)
            .fetch_one(&cluster.namespace.postgres)
            .await?;
        ensure!(whole == 0, "{whole} turns keep their whole results");
        println!("{turns} turns on {room}: {took:?}, {bytes} bytes of rectangles");
    }
    cluster.fleet.is_whole()
}
