//! What breaks, and how.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use limekiln_testbed::Process;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::check::{self, Attempts};
use crate::fleet::{Editor, Member};
use crate::load::{self, Accepted, End, Planned};
use crate::random::Random;
use crate::scene::Scene;
use crate::wait::{wait, wait_for};

/// Something that breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9.
    WorkerKilled,
    /// SIGTERM.
    WorkerStopped,
    /// SIGSTOP past its lease, then SIGCONT.
    WorkerFrozen,
    /// A step that never ends, while the process lives.
    EngineHung,
    /// Stopped or killed, and started again.
    PostgresRestarted,
    /// Stopped or killed, and started again.
    RabbitmqRestarted,
    /// Every message that is ready, gone.
    QueuesPurged,
    /// For a few seconds.
    S3Down,
    /// kill -9, both.
    CoordinatorsKilled,
    /// kill -9, one after the other.
    GatewaysKilled,
    /// Connections to the services end in the middle of anything.
    ConnectionsCut,
    /// Connections to the services become slow, and one service silent.
    ConnectionsSlow,
    /// Three of the others, one right after another.
    Several,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 13] = [
        Self::WorkerKilled,
        Self::WorkerStopped,
        Self::WorkerFrozen,
        Self::EngineHung,
        Self::PostgresRestarted,
        Self::RabbitmqRestarted,
        Self::QueuesPurged,
        Self::S3Down,
        Self::CoordinatorsKilled,
        Self::GatewaysKilled,
        Self::ConnectionsCut,
        Self::ConnectionsSlow,
        Self::Several,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker_killed",
            Self::WorkerStopped => "worker_stopped",
            Self::WorkerFrozen => "worker_frozen",
            Self::EngineHung => "engine_hung",
            Self::PostgresRestarted => "postgres_restarted",
            Self::RabbitmqRestarted => "rabbitmq_restarted",
            Self::QueuesPurged => "queues_purged",
            Self::S3Down => "s3_down",
            Self::CoordinatorsKilled => "coordinators_killed",
            Self::GatewaysKilled => "gateways_killed",
            Self::ConnectionsCut => "connections_cut",
            Self::ConnectionsSlow => "connections_slow",
            Self::Several => "several",
        }
    }

    /// What it may cost.
    #[must_use]
    pub fn attempts(self) -> Attempts {
        match self {
            Self::WorkerKilled | Self::WorkerFrozen | Self::EngineHung => Attempts::Exact,
            Self::WorkerStopped
            | Self::RabbitmqRestarted
            | Self::QueuesPurged
            | Self::S3Down
            | Self::CoordinatorsKilled
            | Self::GatewaysKilled => Attempts::None,
            Self::PostgresRestarted
            | Self::ConnectionsCut
            | Self::ConnectionsSlow
            | Self::Several => Attempts::Bounded,
        }
    }

    /// Breaks it, and mends it as an operator or a supervisor would. Gives edits of its own, if it made any.
    ///
    /// # Errors
    ///
    /// When what must follow at once does not.
    pub async fn strike(self, scene: &Scene, random: &mut Random) -> Result<Vec<Accepted>> {
        match self {
            Self::WorkerKilled => worker_killed(scene, random).await?,
            Self::WorkerStopped => worker_stopped(scene, random).await?,
            Self::WorkerFrozen => worker_frozen(scene, random).await?,
            Self::EngineHung => {
                return match scene.editor {
                    Editor::Null => engine_hung(scene, random).await,
                    Editor::Lime => engine_held(scene, random).await,
                };
            }
            Self::PostgresRestarted => postgres_restarted(scene, random).await?,
            Self::RabbitmqRestarted => rabbitmq_restarted(scene, random).await?,
            Self::QueuesPurged => {
                for _ in 0..random.of(2..6) {
                    scene.services.rabbitmq.purge().await;
                    sleep(random.millis(0..300)).await;
                }
            }
            Self::S3Down => s3_down(scene, random).await,
            Self::CoordinatorsKilled => coordinators_killed(scene, random).await?,
            Self::GatewaysKilled => gateways_killed(scene, random).await?,
            Self::ConnectionsCut => {
                let proxies = scene.services.proxies.all();
                for _ in 0..random.of(4..10) {
                    proxies[random.index(3)].cut();
                    sleep(random.millis(20..300)).await;
                }
            }
            Self::ConnectionsSlow => connections_slow(scene, random).await,
            Self::Several => return several(scene, random).await,
        }
        Ok(Vec::new())
    }
}

async fn postgres_restarted(scene: &Scene, random: &mut Random) -> Result<()> {
    let postgres = scene.services.postgres.clone();
    let (gently, pause) = (random.coin(), random.millis(0..1500));
    // On a task of its own: what panics there fails the round and not the run.
    let restart = tokio::spawn(async move {
        if gently {
            postgres.stop().await;
        } else {
            postgres.kill9().await;
        }
        sleep(pause).await;
        postgres.run().await;
    });
    restart.await.context("Postgres")
}

async fn rabbitmq_restarted(scene: &Scene, random: &mut Random) -> Result<()> {
    let rabbitmq = scene.services.rabbitmq.clone();
    let (gently, pause) = (random.coin(), random.millis(0..1000));
    let restart = tokio::spawn(async move {
        if gently {
            rabbitmq.stop().await;
        } else {
            rabbitmq.kill9().await;
        }
        sleep(pause).await;
        rabbitmq.run().await;
    });
    restart.await.context("RabbitMQ")
}

/// The load is over before three faults are, so that the later ones may find nothing left to hit.
async fn several(scene: &Scene, random: &mut Random) -> Result<Vec<Accepted>> {
    for _ in 0..3 {
        // The faults that need a worker at work are not among them, nor the one that makes an edit of its own.
        const ANYTIME: [Fault; 8] = [
            Fault::PostgresRestarted,
            Fault::RabbitmqRestarted,
            Fault::QueuesPurged,
            Fault::S3Down,
            Fault::CoordinatorsKilled,
            Fault::GatewaysKilled,
            Fault::ConnectionsCut,
            Fault::ConnectionsSlow,
        ];
        if random.coin() && check::in_flight(&scene.place.truth).await? > 0 {
            let worker = &scene.fleet.workers[random.index(2)];
            worker.kill9();
            worker.start_again()?;
        }
        let fault = ANYTIME[random.index(ANYTIME.len())];
        Box::pin(fault.strike(scene, random))
            .await
            .context(fault.name())?;
    }
    Ok(Vec::new())
}

/// A worker that holds edits: what a fault is to hit.
async fn busy_worker<'a>(scene: &'a Scene, random: &mut Random) -> Result<(&'a Member, i64)> {
    wait_for(
        "a worker to hold edits",
        Duration::from_secs(20),
        async || {
            let worker = &scene.fleet.workers[random.index(2)];
            let held = held_by(scene, worker).await?;
            Ok((held > 0).then_some((worker, held)))
        },
    )
    .await
}

/// Edits that the table says a worker runs.
async fn held_by(scene: &Scene, worker: &Member) -> Result<i64> {
    let pid = worker.with(Process::pid);
    Ok(sqlx::query_scalar(
        "select count(*) from edits e join workers w on w.id = e.worker_id
         where e.state = 'running' and w.name like '%/' || $1",
    )
    .bind(pid.to_string())
    .fetch_one(&scene.place.truth)
    .await?)
}

async fn worker_killed(scene: &Scene, random: &mut Random) -> Result<()> {
    let (worker, _) = busy_worker(scene, random).await?;
    worker.kill9();
    sleep(random.millis(0..1500)).await;
    worker.start_again()
}

async fn worker_stopped(scene: &Scene, random: &mut Random) -> Result<()> {
    let (worker, _) = busy_worker(scene, random).await?;
    let status = worker.terminate(Duration::from_secs(10)).await?;
    ensure!(
        status.success(),
        "{} was asked to end and ended with {status}",
        worker.name()
    );
    let held = held_by(scene, worker).await?;
    ensure!(
        held == 0,
        "{} ended with {held} leases in hand",
        worker.name()
    );
    worker.start_again()
}

/// What a worker counts when it is refused, or stops because it was told that its lease is gone.
const REFUSED: [&str; 3] = [
    "limekiln_stale_total",
    "limekiln_attempts_total{outcome=\"stopped\"}",
    "limekiln_attempts_total{outcome=\"abandoned\"}",
];

async fn worker_frozen(scene: &Scene, random: &mut Random) -> Result<()> {
    let (worker, held, before) = loop {
        let (worker, _) = busy_worker(scene, random).await?;
        let before = worker.counted(&scene.http, &REFUSED).await?;
        worker.with(Process::freeze);
        // What it had sent is done by then, and may have been its last edit's end.
        sleep(Duration::from_millis(50)).await;
        let held = held_by(scene, worker).await;
        if matches!(held, Ok(1..)) {
            break (worker, held?, before);
        }
        worker.with(Process::thaw);
        held?;
    };
    let taken = wait(
        "the reaper to take the frozen worker's leases",
        Duration::from_secs(30),
        async || Ok(held_by(scene, worker).await? == 0),
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
        Ok(worker.counted(&scene.http, &REFUSED).await? > before)
    })
    .await
}

/// An edit whose second step never ends. Each worker that takes it gives its leases up and ends; its supervisor starts it
/// again; and after its attempts the edit is called what it is.
async fn engine_hung(scene: &Scene, random: &mut Random) -> Result<Vec<Accepted>> {
    let planned = Planned {
        key: format!("{}-hang", scene.round()),
        tenant: 0,
        body: json!({
            "model": "null",
            "image": scene.images[0],
            "instruction": "null: hang steps=3 step_ms=20",
            "max_attempts": random.of(1..3),
        }),
        end: End::Failed,
        parent: None,
        after: Duration::ZERO,
        cancel_after: None,
        watched: false,
        twin: None,
    };
    let id = scene.clients[0].submit(&planned.key, &planned.body).await?;
    let workers = &scene.fleet.workers;
    let falls = || workers.iter().map(Member::falls).sum::<u32>();
    let before = falls();
    // Each claim of it ends a worker; the last one ends a little after the edit.
    let what = "the edit that hangs to be given up, and the workers that held it to end";
    wait(what, Duration::from_secs(90), async || {
        for worker in workers {
            worker.revive()?;
        }
        let (state, claims): (String, i32) =
            sqlx::query_as("select state, epoch from edits where id = $1")
                .bind(id)
                .fetch_one(&scene.place.truth)
                .await?;
        Ok(state == "failed" && i64::from(falls() - before) >= i64::from(claims.max(1)))
    })
    .await?;
    Ok(vec![Accepted {
        id,
        planned,
        seen: None,
    }])
}

/// The real engine does not hang on demand: its thread is held in the middle of an edit. The worker's heartbeat lives, and
/// must see it: it gives the lease up and ends; its supervisor starts it again; and the edit goes on from its checkpoint.
async fn engine_held(scene: &Scene, random: &mut Random) -> Result<Vec<Accepted>> {
    let mut own = Vec::new();
    // The edit may end before the thread is held; five in a row do not.
    for number in 0..5 {
        let name = format!("{}-hold-{number}", scene.round());
        let planned = load::lime(&name, &scene.rooms, 1).remove(0);
        let id = scene.clients[0].submit(&planned.key, &planned.body).await?;
        own.push(Accepted {
            id,
            planned,
            seen: None,
        });
        let (worker, epoch) = wait_for("the edit to run", Duration::from_secs(60), async || {
            runner(scene, id).await
        })
        .await?;
        sleep(random.millis(200..1000)).await;
        let held = worker
            .with(|process| process.hold("engine"))
            .context("its engine's thread can't be held")?;
        let ended = wait_for("its worker to end", Duration::from_secs(30), async || {
            if worker.revive()? {
                return Ok(Some(true));
            }
            Ok(ended_in(scene, id, epoch).await?.then_some(false))
        })
        .await?;
        drop(held);
        if ended {
            return Ok(own);
        }
    }
    bail!("five edits ended before their engine was held")
}

/// The worker that the table says runs an edit, and in which epoch.
async fn runner(scene: &Scene, edit: Uuid) -> Result<Option<(&Member, i32)>> {
    let row: Option<(String, i32)> = sqlx::query_as(
        "select w.name, e.epoch from edits e join workers w on w.id = e.worker_id
         where e.id = $1 and e.state = 'running'",
    )
    .bind(edit)
    .fetch_optional(&scene.place.truth)
    .await?;
    Ok(row.and_then(|(name, epoch)| {
        let is_it = |worker: &&Member| {
            let pid = worker.with(Process::pid);
            name.ends_with(&format!("/{pid}"))
        };
        let worker = scene.fleet.workers.iter().find(is_it)?;
        Some((worker, epoch))
    }))
}

/// Whether an edit came to its end in this epoch.
async fn ended_in(scene: &Scene, edit: Uuid, epoch: i32) -> Result<bool> {
    let ended = "select exists (select from edits where id = $1 and epoch = $2 and finished_at is not null)";
    Ok(sqlx::query_scalar(ended)
        .bind(edit)
        .bind(epoch)
        .fetch_one(&scene.place.truth)
        .await?)
}

async fn s3_down(scene: &Scene, random: &mut Random) {
    let proxy = &scene.services.proxies.s3;
    let whole = random.coin();
    if whole {
        scene.services.s3.stop().await;
    } else {
        proxy.refuse();
    }
    sleep(random.millis(1500..4000)).await;
    if whole {
        scene.services.s3.run().await;
    } else {
        proxy.resume();
    }
}

async fn coordinators_killed(scene: &Scene, random: &mut Random) -> Result<()> {
    for coordinator in &scene.fleet.coordinators {
        coordinator.kill9();
        sleep(random.millis(0..500)).await;
    }
    sleep(random.millis(0..1500)).await;
    scene
        .fleet
        .coordinators
        .iter()
        .try_for_each(Member::start_again)
}

async fn gateways_killed(scene: &Scene, random: &mut Random) -> Result<()> {
    for gateway in &scene.fleet.gateways {
        gateway.kill9();
        sleep(random.millis(0..500)).await;
        gateway.start_again()?;
        gateway
            .ready(&scene.http)
            .await
            .context("a gateway after kill -9")?;
        sleep(random.millis(0..300)).await;
    }
    Ok(())
}

async fn connections_slow(scene: &Scene, random: &mut Random) {
    let proxies = scene.services.proxies.all();
    for proxy in proxies {
        proxy.slow(random.of(200_000..2_000_000), random.millis(5..40));
    }
    sleep(random.millis(1000..2500)).await;
    let silent = proxies[random.index(3)];
    silent.blackhole();
    sleep(random.millis(500..2500)).await;
    for proxy in proxies {
        proxy.resume();
    }
    if random.coin() {
        silent.cut();
    }
}
