//! Workers that are killed, stopped and frozen, and engines that hang.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use limekiln_testbed::Process;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::check;
use crate::cluster::Cluster;
use crate::load::{self, Accepted, End, Planned};
use crate::member::{Editor, Member};
use crate::random::Random;
use crate::wait::{wait, wait_for};

/// A worker that holds edits: what a fault is to hit. Where the load is over before the fault comes, edits of the fault's own
/// follow it, into `own`.
async fn busy_worker<'a>(
    cluster: &'a Cluster,
    random: &mut Random,
    own: &mut Vec<Accepted>,
) -> Result<&'a Member> {
    wait_for(
        "a worker to hold edits",
        Duration::from_secs(20),
        async || {
            if own.len() < 5 && check::in_flight(&cluster.namespace.postgres).await? == 0 {
                own.push(submit(cluster, late(cluster, own.len())).await?);
            }
            let worker = &cluster.fleet.workers[random.index(2)];
            let held = held_by(cluster, worker).await?;
            Ok((held > 0).then_some(worker))
        },
    )
    .await
}

/// An edit of a second or more, for a fault that finds nothing left to hit.
fn late(cluster: &Cluster, number: usize) -> Planned {
    let name = format!("{}-late-{number}", cluster.round());
    match cluster.editor {
        Editor::Null => load::null_one(&name, cluster.images[0], "null: steps=60 step_ms=30"),
        Editor::Lime => load::lime(&name, &cluster.rooms, 1).remove(0),
    }
}

/// Edits that the table says a worker runs.
async fn held_by(cluster: &Cluster, worker: &Member) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "select count(*) from edits e join workers w on w.id = e.worker_id
         where e.state = 'running' and w.name like '%' || $1",
    )
    .bind(worker.row_suffix())
    .fetch_one(&cluster.namespace.postgres)
    .await?)
}

pub(super) async fn worker_killed(cluster: &Cluster, random: &mut Random) -> Result<Vec<Accepted>> {
    let mut own = Vec::new();
    let worker = busy_worker(cluster, random, &mut own).await?;
    worker.kill9();
    sleep(random.millis(0..1500)).await;
    worker.start_again()?;
    Ok(own)
}

pub(super) async fn worker_stopped(
    cluster: &Cluster,
    random: &mut Random,
) -> Result<Vec<Accepted>> {
    let mut own = Vec::new();
    let worker = busy_worker(cluster, random, &mut own).await?;
    let status = worker.terminate(Duration::from_secs(10)).await?;
    ensure!(
        status.success(),
        "{} was asked to end and ended with {status}",
        worker.name()
    );
    let held = held_by(cluster, worker).await?;
    ensure!(
        held == 0,
        "{} ended with {held} leases in hand",
        worker.name()
    );
    worker.start_again()?;
    Ok(own)
}

/// What a worker counts when it is refused, or stops because it was told that its lease is gone.
const REFUSED: [&str; 3] = [
    "limekiln_stale_total",
    "limekiln_attempts_total{outcome=\"stopped\"}",
    "limekiln_attempts_total{outcome=\"abandoned\"}",
];

pub(super) async fn worker_frozen(cluster: &Cluster, random: &mut Random) -> Result<Vec<Accepted>> {
    let mut own = Vec::new();
    let (worker, held, before) = loop {
        let worker = busy_worker(cluster, random, &mut own).await?;
        let before = worker.counted(&cluster.http, &REFUSED).await?;
        worker.with(Process::freeze);
        // What it had sent is done by then, and may have been its last edit's end.
        sleep(Duration::from_millis(50)).await;
        let held = held_by(cluster, worker).await;
        if matches!(held, Ok(1..)) {
            break (worker, held?, before);
        }
        worker.with(Process::thaw);
        held?;
    };
    let taken = wait(
        "the reaper to take the frozen worker's leases",
        Duration::from_secs(30),
        async || Ok(held_by(cluster, worker).await? == 0),
    )
    .await;
    if taken.is_ok() {
        sleep(random.millis(0..1000)).await;
    }
    worker.with(Process::thaw);
    taken?;
    // It wakes in the middle of what it did, and is refused.
    let what = format!(
        "the thawed {}, which held {held} edits, to be refused",
        worker.name()
    );
    wait(&what, Duration::from_secs(20), async || {
        Ok(worker.counted(&cluster.http, &REFUSED).await? > before)
    })
    .await?;
    Ok(own)
}

/// An edit whose second step never ends. Each worker that takes it gives its leases up and ends; its supervisor starts it
/// again; and after its attempts the edit is called what it is.
pub(super) async fn engine_hung(cluster: &Cluster, random: &mut Random) -> Result<Vec<Accepted>> {
    let name = format!("{}-hang", cluster.round());
    let mut planned = load::null_one(&name, cluster.images[0], "null: hang steps=3 step_ms=20");
    planned.body["max_attempts"] = json!(random.of(1..3));
    planned.end = End::Hung;
    let edit = submit(cluster, planned).await?;
    let workers = &cluster.fleet.workers;
    let crashes = || workers.iter().map(Member::crashes).sum::<u32>();
    let before = crashes();
    // Each claim of it ends a worker; the last one ends a little after the edit.
    let what = "the edit that hangs to be given up, and the workers that held it to end";
    wait(what, Duration::from_secs(90), async || {
        for worker in workers {
            worker.restart_if_ended()?;
        }
        let (state, claims): (String, i32) =
            sqlx::query_as("select state, epoch from edits where id = $1")
                .bind(edit.id)
                .fetch_one(&cluster.namespace.postgres)
                .await?;
        Ok(state == "failed" && i64::from(crashes() - before) >= i64::from(claims.max(1)))
    })
    .await?;
    Ok(vec![edit])
}

/// The real engine does not hang on demand: its thread is stalled in the middle of an edit. The worker's heartbeat lives,
/// and must see it: it gives the lease up and ends; its supervisor starts it again; and the edit goes on from its checkpoint.
pub(super) async fn engine_stalled(
    cluster: &Cluster,
    random: &mut Random,
) -> Result<Vec<Accepted>> {
    let mut own = Vec::new();
    // The edit may end before the thread stands still; five in a row do not.
    for number in 0..5 {
        let name = format!("{}-stall-{number}", cluster.round());
        let planned = load::lime(&name, &cluster.rooms, 1).remove(0);
        let edit = submit(cluster, planned).await?;
        let id = edit.id;
        own.push(edit);
        let (worker, epoch) = wait_for("the edit to run", Duration::from_secs(60), async || {
            runner(cluster, id).await
        })
        .await?;
        sleep(random.millis(200..1000)).await;
        let stalled = worker
            .with(|process| process.stall("engine"))
            .context("its engine's thread can't be stalled")?;
        let ended = wait_for("its worker to end", Duration::from_secs(30), async || {
            if worker.restart_if_ended()? {
                return Ok(Some(true));
            }
            Ok(ended_in(cluster, id, epoch).await?.then_some(false))
        })
        .await?;
        drop(stalled);
        if ended {
            return Ok(own);
        }
    }
    bail!("five edits ended before their engine was stalled")
}

/// Submits an edit of the fault's own, which nobody watches.
async fn submit(cluster: &Cluster, planned: Planned) -> Result<Accepted> {
    let id = cluster.clients[0]
        .submit(&planned.key, &planned.body)
        .await?;
    Ok(Accepted {
        id,
        planned,
        seen: None,
    })
}

/// The worker that the table says runs an edit, and in which epoch.
async fn runner(cluster: &Cluster, edit: Uuid) -> Result<Option<(&Member, i32)>> {
    let row: Option<(String, i32)> = sqlx::query_as(
        "select w.name, e.epoch from edits e join workers w on w.id = e.worker_id
         where e.id = $1 and e.state = 'running'",
    )
    .bind(edit)
    .fetch_optional(&cluster.namespace.postgres)
    .await?;
    Ok(row.and_then(|(name, epoch)| {
        let is_it = |worker: &&Member| name.ends_with(&worker.row_suffix());
        let worker = cluster.fleet.workers.iter().find(is_it)?;
        Some((worker, epoch))
    }))
}

/// Whether an edit came to its end in this epoch.
async fn ended_in(cluster: &Cluster, edit: Uuid, epoch: i32) -> Result<bool> {
    let ended = "select exists (select from edits where id = $1 and epoch = $2 and finished_at is not null)";
    Ok(sqlx::query_scalar(ended)
        .bind(edit)
        .bind(epoch)
        .fetch_one(&cluster.namespace.postgres)
        .await?)
}
