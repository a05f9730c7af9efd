//! Services that go away and come back, connections that end or crawl, processes that need no worker.

use anyhow::{Context, Result};
use tokio::time::sleep;

use crate::fleet::Member;
use crate::random::Random;
use crate::scene::Scene;

pub(super) async fn postgres_restarted(scene: &Scene, random: &mut Random) -> Result<()> {
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

pub(super) async fn rabbitmq_restarted(scene: &Scene, random: &mut Random) -> Result<()> {
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

/// Every message that is ready, a few times.
pub(super) async fn queues_purged(scene: &Scene, random: &mut Random) {
    for _ in 0..random.of(2..6) {
        scene.services.rabbitmq.purge().await;
        sleep(random.millis(0..300)).await;
    }
}

pub(super) async fn s3_down(scene: &Scene, random: &mut Random) {
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

pub(super) async fn coordinators_killed(scene: &Scene, random: &mut Random) -> Result<()> {
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

pub(super) async fn gateways_killed(scene: &Scene, random: &mut Random) -> Result<()> {
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

pub(super) async fn connections_cut(scene: &Scene, random: &mut Random) {
    let proxies = scene.services.proxies.all();
    for _ in 0..random.of(4..10) {
        proxies[random.index(3)].cut();
        sleep(random.millis(20..300)).await;
    }
}

pub(super) async fn connections_slow(scene: &Scene, random: &mut Random) {
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
