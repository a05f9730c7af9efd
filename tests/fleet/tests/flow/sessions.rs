//! Turns of many sessions at once, and workers that are killed meanwhile: order, heads and events.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use limekiln_fleet_tests::client::Client;
use limekiln_fleet_tests::cluster::Cluster;
use limekiln_fleet_tests::member::Editor;
use limekiln_fleet_tests::random::Random;
use limekiln_fleet_tests::wait::wait;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::END;

const SESSIONS: usize = 20;
const TURNS: usize = 10;
const KILLS: usize = 5;

/// Posts a session's turns: most build on the head, some on an earlier turn, some are cancelled, and the head is moved between.
async fn post(client: &Client, image: Uuid, seed: u64) -> Result<(String, Vec<Duration>)> {
    let mut random = Random::new(seed, "turns");
    let body = json!({"image": image, "title": format!("session {seed}")});
    let made = client
        .send(Method::POST, "/v1/sessions", |request| request.json(&body))
        .await?;
    let made = made.success()?.json()?;
    let path = format!("/v1/sessions/{}", made["id"].as_str().unwrap_or_default());
    let mut turns: Vec<Value> = Vec::new();
    let mut moves = Vec::new();
    for number in 0..TURNS {
        let step_ms = 5 + random.index(20);
        let mut turn = json!({"instruction": format!("null: steps=5 step_ms={step_ms}"), "model": "null", "max_attempts": 10});
        if number > 0 && random.index(4) == 0 {
            turn["parent"] = turns[random.index(turns.len())].clone();
        }
        let key = format!("session-{seed}-{number}");
        let posted = client
            .send(Method::POST, &format!("{path}/edits"), |request| {
                request.header("idempotency-key", &key).json(&turn)
            })
            .await?;
        // The turn that it builds on may have ended without a result by now.
        if posted.status == 409 {
            continue;
        }
        let id = posted.success()?.json()?["id"].clone();
        turns.push(id.clone());
        if random.index(6) == 0 {
            let began = Instant::now();
            let moved = client
                .send(Method::POST, &format!("{path}/head"), |request| {
                    request.json(&json!({"move": "undo"}))
                })
                .await?;
            moves.push(began.elapsed());
            // What was cancelled may have left nothing to undo.
            ensure!(
                moved.status == 200 || moved.status == 409,
                "{}",
                moved.status
            );
        }
        if random.index(8) == 0 {
            client
                .cancel(id.as_str().unwrap_or_default().parse()?)
                .await?;
        }
    }
    Ok((path, moves))
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_keep_their_order_while_workers_are_killed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::start(Editor::Null, None, dir.path()).await?;
    let (client, image) = (&cluster.clients[0], cluster.images[0]);
    let began = Instant::now();
    let posting = try_join_all((0..SESSIONS).map(|seed| post(client, image, seed as u64)));
    let killing = async {
        let mut random = Random::new(1, "kills");
        for _ in 0..KILLS {
            tokio::time::sleep(random.millis(300..900)).await;
            let worker = &cluster.fleet.workers[random.index(2)];
            worker.kill9();
            tokio::time::sleep(random.millis(0..500)).await;
            worker.start_again()?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let (posted, killed) = tokio::join!(posting, killing);
    let (posted, ()) = (posted?, killed?);
    let postgres = &cluster.namespace.postgres;
    wait("all turns to end", END, async || {
        let live = "select count(*) from edits where finished_at is null";
        let live: i64 = sqlx::query_scalar(live).fetch_one(postgres).await?;
        Ok(live == 0)
    })
    .await?;
    let took = began.elapsed();

    // No turn ran before the one that it builds on was done, and none on one that has no result.
    for (what, wrong) in [
        (
            "turns that ran before their parents were done",
            "select count(*) from edits c join edits p on p.id = c.parent_id
            join edit_events v on v.edit_id = c.id and v.kind = 'started'
            where p.state <> 'succeeded' or v.at < p.finished_at",
        ),
        (
            "edits of sessions that are no turns of theirs",
            "select count(*) from edits e left join turns t on t.edit_id = e.id
            where e.session_id is distinct from t.session_id or e.parent_id is distinct from t.parent_id",
        ),
        (
            "heads that have no result",
            "select count(*) from sessions s join edits e on e.id = s.head where e.state <> 'succeeded'",
        ),
        (
            "turns of lost parents that are not lost",
            "select count(*) from edits c join edits p on p.id = c.parent_id
            where p.state in ('failed', 'cancelled') and c.state not in ('failed', 'cancelled')",
        ),
        (
            "turns that failed for another reason than their parent",
            "select count(*) from edits e where e.state = 'failed' and e.error ->> 'class' <> 'parent'",
        ),
        (
            "events of turns that the sessions' streams lack, or have twice",
            "select count(*) from (
                select v.edit_id, v.seq from edit_events v join edits e on e.id = v.edit_id where e.session_id is not null
                except all
                select s.edit_id, s.edit_seq from session_events s where s.edit_id is not null
            ) lacking",
        ),
        (
            "sessions whose events have gaps, or whose turns have",
            "select count(*) from sessions s
            where s.events <> (select count(*) from session_events v where v.session_id = s.id)
                or s.events <> (select max(v.seq) from session_events v where v.session_id = s.id)
                or s.turns <> (select count(*) from turns t where t.session_id = s.id)",
        ),
        (
            "events of one turn out of order",
            "select count(*) from session_events a join session_events b
                on b.session_id = a.session_id and b.edit_id = a.edit_id and b.seq > a.seq and b.edit_seq <= a.edit_seq",
        ),
    ] {
        let wrong: i64 = sqlx::query_scalar(wrong).fetch_one(postgres).await?;
        ensure!(wrong == 0, "{wrong} {what}");
    }
    let mut moves: Vec<Duration> = Vec::new();
    for (path, moved) in posted {
        moves.extend(moved);
        let answer = client.send(Method::GET, &path, |request| request).await?;
        let tree = answer.success()?.json()?;
        let turns = tree["tree"].as_array().map_or(0, Vec::len);
        ensure!(turns > TURNS / 2, "{tree}");
    }
    moves.sort_unstable();
    let most = moves.last().copied().unwrap_or_default();
    println!(
        "{SESSIONS} sessions, {KILLS} kills, {took:?}; {} undos under load, at most {most:?}",
        moves.len()
    );
    cluster.fleet.is_whole()?;
    Ok(())
}
