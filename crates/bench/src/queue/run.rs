//! One run: all edits at once, then a stream of them at half that rate.

use std::sync::Arc;
use std::time::Duration;

use limekiln_coordinator::Submitter;
use limekiln_jobs::{Class, Spec};
use limekiln_store::{Submission, Submitted};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::error::{Error, Result};
use super::sandbox::Sandbox;

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
pub struct Figures {
    /// Edits submitted at once.
    pub edits: u32,
    /// From the first submission to the last end.
    pub per_second: f64,
    /// Submissions a second of the stream.
    pub half_load: f64,
    /// Half of the edits waited no longer from the commit of the submission to the commit of the claim, by Postgres'
    /// clock.
    pub start_p50_ms: f64,
    /// 99 of 100 waited no longer.
    pub start_p99_ms: f64,
}

/// Runs the edits through a coordinator and a worker of their own.
///
/// # Errors
///
/// When an edit does not succeed.
pub(super) async fn run(edits: u32, sandbox: &Sandbox, blobs: bool) -> Result<Figures> {
    let stop = CancellationToken::new();
    let running = sandbox.start(blobs, &stop)?;
    let began = Instant::now();
    flood(&running.submitter, sandbox, edits).await?;
    ended(sandbox).await?;
    let per_second = f64::from(edits) / began.elapsed().as_secs_f64();

    let half = per_second / 2.0;
    let count = edits.min((half * STREAM.as_secs_f64()) as u32).max(1);
    let since = sandbox.store.now().await?;
    let sent = Instant::now();
    stream(&running.submitter, sandbox, count, half).await?;
    let half_load = f64::from(count) / sent.elapsed().as_secs_f64();
    ended(sandbox).await?;
    let waits = sandbox.store.start_waits(&sandbox.model, since).await?;

    if waits.unsuccessful > 0 {
        return Err(Error::Unsuccessful(waits.unsuccessful));
    }
    stop.cancel();
    running.ended().await?;
    Ok(Figures {
        edits,
        per_second,
        half_load,
        start_p50_ms: waits.p50_ms,
        start_p99_ms: waits.p99_ms,
    })
}

/// All edits as fast as they are taken.
async fn flood(submitter: &Submitter, sandbox: &Sandbox, count: u32) -> Result<()> {
    let clients = Arc::new(Semaphore::new(CLIENTS));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        // The semaphore is never closed.
        let permit = clients.clone().acquire_owned().await.ok();
        let (submitter, submission) = (submitter.clone(), submission(sandbox, number));
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
async fn stream(submitter: &Submitter, sandbox: &Sandbox, count: u32, rate: f64) -> Result<()> {
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut sent = 0;
    while sent < count {
        ticks.tick().await;
        let due = ((began.elapsed().as_secs_f64() * rate) as u32).min(count);
        for number in sent..due {
            let (submitter, submission) = (submitter.clone(), submission(sandbox, number));
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

fn submission(sandbox: &Sandbox, number: u32) -> Submission {
    let (tenant, image) = sandbox.tenants[number as usize % sandbox.tenants.len()];
    let spec = Spec {
        seed: u64::from(number),
        ..Spec::new("make the sofa teal")
    };
    Submission {
        class: Class::Bulk,
        ..Submission::new(tenant, image, sandbox.model.clone(), spec)
    }
}

async fn submit(submitter: &Submitter, submission: Submission) -> Result<()> {
    match submitter.submit(submission).await? {
        Submitted::Created { .. } => Ok(()),
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}

/// Waits until no edit is unfinished.
async fn ended(sandbox: &Sandbox) -> Result<()> {
    let mut last = (u64::MAX, Instant::now());
    loop {
        let tenants = sandbox.store.tenant_list().await?;
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
            return Err(Error::Stuck {
                after: STUCK,
                unfinished,
            });
        }
        sleep(LOOK).await;
    }
}
