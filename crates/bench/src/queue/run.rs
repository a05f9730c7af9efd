//! One run: all edits at once, then a stream of them at half that rate.

use std::sync::Arc;
use std::time::Duration;

use limekiln_coordinator::Submitter;
use limekiln_jobs::{Class, Spec};
use limekiln_store::Submission;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use crate::error::{Error, Result};
use crate::sandbox::{Fleet, Sandbox, submit};

/// Submissions under way at once, as from many clients.
const CLIENTS: usize = 512;
/// The stream at half load lasts this long, or as long as there are edits.
const STREAM: Duration = Duration::from_secs(15);
/// Between two batches of the stream: what clients who know nothing of each other look like.
const TICK: Duration = Duration::from_millis(5);

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
pub(super) async fn run(settings: &Settings, sandbox: &Sandbox, blobs: bool) -> Result<Figures> {
    let stop = CancellationToken::new();
    let edits = settings.edits;
    let fleet = Fleet {
        workers: 1,
        slots: settings.slots,
        blobs,
    };
    let running = sandbox.start(fleet, &stop)?;
    let began = Instant::now();
    flood(&running.submitter, sandbox, edits).await?;
    sandbox.all_ended().await?;
    let per_second = f64::from(edits) / began.elapsed().as_secs_f64();

    let half = per_second / 2.0;
    let count = edits.min((half * STREAM.as_secs_f64()) as u32).max(1);
    let since = sandbox.store.now().await?;
    let sent = Instant::now();
    stream(&running.submitter, sandbox, count, half).await?;
    let half_load = f64::from(count) / sent.elapsed().as_secs_f64();
    sandbox.all_ended().await?;
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
