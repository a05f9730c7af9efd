//! One run: all edits at once, then a stream of them at half that rate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use limekiln_coordinator::Submitter;
use limekiln_jobs::{Class, EditId, Spec};
use limekiln_store::{Submission, Submitted};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::bench::Bench;
use crate::args::QueueArgs;

/// Submissions under way at once, as from many clients.
const CLIENTS: usize = 512;
/// The stream at half load lasts this long, or as long as there are edits.
const STREAM: Duration = Duration::from_secs(15);
/// Between two batches of the stream: what clients who know nothing of each other look like.
const TICK: Duration = Duration::from_millis(5);
/// Between two looks whether all have ended.
const LOOK: Duration = Duration::from_millis(20);
/// Nothing ends for so long only when something is broken.
const STUCK: Duration = Duration::from_secs(60);

/// What a run showed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Figures {
    /// Edits submitted at once.
    pub(super) edits: u32,
    /// From the first submission to the last end.
    pub(super) per_second: f64,
    /// Submissions a second of the stream.
    pub(super) half_load: f64,
    /// From the commit of the submission to the commit of the claim, by Postgres' clock.
    pub(super) start_p50_ms: f64,
    pub(super) start_p99_ms: f64,
}

/// Runs the edits through a coordinator and a worker of their own.
///
/// # Errors
///
/// When an edit does not succeed.
pub(super) async fn run(args: &QueueArgs, bench: &Bench, blobs: bool) -> Result<Figures> {
    let stop = CancellationToken::new();
    let running = bench.start(blobs, &stop)?;
    let began = Instant::now();
    flood(&running.submitter, bench, args.edits).await?;
    ended(bench).await?;
    let per_second = f64::from(args.edits) / began.elapsed().as_secs_f64();

    let half = per_second / 2.0;
    let count = args.edits.min((half * STREAM.as_secs_f64()) as u32).max(1);
    let since = bench.store.now().await?;
    let sent = Instant::now();
    stream(&running.submitter, bench, count, half).await?;
    let half_load = f64::from(count) / sent.elapsed().as_secs_f64();
    ended(bench).await?;
    let waits = bench.store.start_waits(&bench.model, since).await?;

    if waits.unsuccessful > 0 {
        bail!("{} edits did not succeed", waits.unsuccessful);
    }
    stop.cancel();
    running.ended().await?;
    Ok(Figures {
        edits: args.edits,
        per_second,
        half_load,
        start_p50_ms: waits.p50_ms,
        start_p99_ms: waits.p99_ms,
    })
}

/// All edits as fast as they are taken.
async fn flood(submitter: &Submitter, bench: &Bench, count: u32) -> Result<()> {
    let clients = Arc::new(Semaphore::new(CLIENTS));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let permit = clients.clone().acquire_owned().await?;
        let (submitter, submission) = (submitter.clone(), submission(bench, number));
        tasks.spawn(async move {
            let outcome = submit(&submitter, submission).await;
            drop(permit);
            outcome
        });
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Edits at an even rate.
async fn stream(submitter: &Submitter, bench: &Bench, count: u32, rate: f64) -> Result<()> {
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut sent = 0;
    while sent < count {
        ticks.tick().await;
        let due = ((began.elapsed().as_secs_f64() * rate) as u32).min(count);
        for number in sent..due {
            let (submitter, submission) = (submitter.clone(), submission(bench, number));
            tasks.spawn(async move { submit(&submitter, submission).await });
        }
        sent = due;
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

fn submission(bench: &Bench, number: u32) -> Submission {
    let (tenant, image) = bench.tenants[number as usize % bench.tenants.len()];
    Submission {
        id: EditId::new(),
        tenant,
        image: Some(image),
        parent: None,
        session: None,
        mask: None,
        batch: None,
        model: bench.model.clone(),
        class: Class::Bulk,
        spec: Spec {
            instruction: "make the sofa teal".to_owned(),
            preset: Spec::PRESET_DEFAULT.to_owned(),
            options: Default::default(),
            seed: u64::from(number),
            mask: None,
            size: None,
            keep_outside: false,
        },
        max_attempts: 3,
        webhook_url: None,
        idempotency: None,
        trace: None,
    }
}

async fn submit(submitter: &Submitter, submission: Submission) -> Result<()> {
    match submitter.submit(submission).await? {
        Submitted::Created { .. } => Ok(()),
        other => bail!("a submission was not taken: {other:?}"),
    }
}

/// Waits until no edit is unfinished.
async fn ended(bench: &Bench) -> Result<()> {
    let mut last = (u64::MAX, Instant::now());
    loop {
        let tenants = bench.store.tenant_list().await?;
        let unfinished: u64 = tenants
            .iter()
            .map(|tenant| u64::from(tenant.in_flight))
            .sum();
        if unfinished == 0 {
            return Ok(());
        }
        if unfinished < last.0 {
            last = (unfinished, Instant::now());
        } else if last.1.elapsed() > STUCK {
            bail!("no edit has ended for {STUCK:?}; {unfinished} have not");
        }
        sleep(LOOK).await;
    }
}
