//! Services that go away and come back, connections that end or crawl, processes that need no worker.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::member::Member;
use crate::random::Random;
use crate::wait::wait;

pub(super) async fn postgres_restarted(cluster: &Cluster, random: &mut Random) -> Result<()> {
    let postgres = cluster.services.postgres.clone();
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

pub(super) async fn rabbitmq_restarted(cluster: &Cluster, random: &mut Random) -> Result<()> {
    let rabbitmq = cluster.services.rabbitmq.clone();
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
pub(super) async fn queues_purged(cluster: &Cluster, random: &mut Random) {
    for _ in 0..random.of(2..6) {
        cluster.services.rabbitmq.purge().await;
        sleep(random.millis(0..300)).await;
    }
}

pub(super) async fn s3_down(cluster: &Cluster, random: &mut Random) {
    let proxy = &cluster.services.proxies.s3;
    let whole = random.coin();
    if whole {
        cluster.services.s3.stop().await;
    } else {
        proxy.refuse();
    }
    sleep(random.millis(1500..4000)).await;
    if whole {
        cluster.services.s3.run().await;
    } else {
        proxy.resume();
    }
}

pub(super) async fn coordinators_killed(cluster: &Cluster, random: &mut Random) -> Result<()> {
    for coordinator in &cluster.fleet.coordinators {
        coordinator.kill9();
        sleep(random.millis(0..500)).await;
    }
    sleep(random.millis(0..1500)).await;
    cluster
        .fleet
        .coordinators
        .iter()
        .try_for_each(Member::start_again)
}

/// Once bulk was asked to step aside, who asked is killed, and the messages of what was queued again are lost.
pub(super) async fn stepping_aside(cluster: &Cluster, random: &mut Random) -> Result<()> {
    wait(
        "bulk to be asked to step aside",
        Duration::from_secs(30),
        async || {
            let asked = sqlx::query_scalar(
                "select exists (select from edits where state = 'running' and aside_epoch = epoch)",
            );
            Ok(asked.fetch_one(&cluster.namespace.postgres).await?)
        },
    )
    .await?;
    coordinators_killed(cluster, random).await?;
    queues_purged(cluster, random).await;
    Ok(())
}

pub(super) async fn gateways_killed(cluster: &Cluster, random: &mut Random) -> Result<()> {
    for gateway in &cluster.fleet.gateways {
        gateway.kill9();
        sleep(random.millis(0..500)).await;
        gateway.start_again()?;
        gateway
            .ready(&cluster.http)
            .await
            .context("a gateway after kill -9")?;
        sleep(random.millis(0..300)).await;
    }
    Ok(())
}

pub(super) async fn connections_cut(cluster: &Cluster, random: &mut Random) {
    let proxies = cluster.services.proxies.all();
    for _ in 0..random.of(4..10) {
        proxies[random.index(3)].cut();
        sleep(random.millis(20..300)).await;
    }
}

pub(super) async fn connections_slow(cluster: &Cluster, random: &mut Random) {
    let proxies = cluster.services.proxies.all();
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
