//! An edit's time in the engine, and what happens beside it: progress, previews, checkpoints, interrupts.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use limekiln_store::Claimed;
use tokio::time::timeout;

use super::abort::{Abort, LeaseLost};
use super::progress::ProgressReporter;
use super::{checkpoint, events};
use crate::context::Context;
use crate::engine::{Finished, RunHandle, run_result};
use crate::leases::{Interrupt, Lease};
use crate::memory::Held;
use crate::{Signal, Work};

/// A checkpoint on its way to S3 and Postgres.
type Storing<'a> = Pin<Box<dyn Future<Output = Result<(), LeaseLost>> + Send + 'a>>;

/// Lets the engine do all steps of an edit; returns what the edit still holds, too.
pub(super) async fn compute(
    ctx: &Arc<Context>,
    claimed: &Claimed,
    lease: &Lease,
    work: Work,
    held: Held,
) -> Result<(Finished, Held), Abort> {
    let mut run = ctx.engine.submit(work, held);
    lease.set_run(Some(run.id));
    let finished = follow(ctx, claimed, lease, &mut run).await;
    lease.set_run(None);
    // A step in progress, too, is done for an edit that was stopped in it.
    lease.spent(run.device() + ctx.engine.calls.share(run.id));
    Ok((finished?, run.into_held()))
}

/// Follows a run to its end. Nothing here blocks the engine, and an interrupt comes before everything else.
async fn follow(
    ctx: &Arc<Context>,
    claimed: &Claimed,
    lease: &Lease,
    run: &mut RunHandle,
) -> Result<Finished, Abort> {
    let signals = &ctx.settings.signals;
    let mut reporter = ProgressReporter::new(ctx, claimed);
    let mut storing: Option<Storing<'_>> = None;
    let mut started = false;
    loop {
        tokio::select! {
            biased;
            interrupt = lease.interrupted() => {
                match interrupt {
                    Interrupt::HandBack => final_checkpoint(ctx, claimed, run, storing).await,
                    Interrupt::Aside => return Err(step_aside(ctx, lease, run, storing).await),
                    _ => {}
                }
                return Err(interrupt.into());
            }
            result = &mut run.result => {
                let finished = run_result(result)?;
                // Nobody may have looked at the progress of an edit that was done at once.
                if let Some(progress) = *run.progress.borrow_and_update() {
                    reporter.update(progress.now);
                }
                while let Ok(png) = run.located.try_recv() {
                    reporter.located(&png);
                }
                tokio::select! {
                    biased;
                    // What is done is uploaded, or given back, whatever watchers know of it.
                    _ = lease.interrupted() => {}
                    told = reporter.tell_located() => told?,
                }
                return Ok(finished);
            }
            Ok(()) = run.progress.changed() => {
                let Some(progress) = *run.progress.borrow_and_update() else {
                    continue;
                };
                if !started {
                    started = true;
                    signals.emit(Signal::Started(claimed.edit, claimed.epoch, progress.first_step));
                    let unused = claimed.checkpoint.as_ref();
                    if let Some(unused) = unused.filter(|saved| saved.step > progress.first_step) {
                        storing = Some(Box::pin(checkpoint::start_over(ctx, claimed, unused)));
                    }
                }
                if progress.now.step > progress.first_step {
                    signals.emit(Signal::Stepped(claimed.edit, claimed.epoch, progress.now.step));
                }
                reporter.update(progress.now);
            }
            lost = reporter.run() => return Err(lost.into()),
            Some((step, jpeg)) = run.previews.recv() => events::preview(ctx, claimed, step, &jpeg),
            Some(png) = run.located.recv() => reporter.located(&png),
            Some(snapshot) = run.snapshots.recv(), if storing.is_none() => {
                storing = Some(Box::pin(checkpoint::store(ctx, claimed, snapshot)));
            }
            stored = in_progress(&mut storing) => {
                storing = None;
                stored?;
            }
        }
    }
}

/// The checkpoint on its way; pending for ever while there is none.
async fn in_progress(storing: &mut Option<Storing<'_>>) -> Result<(), LeaseLost> {
    match storing {
        Some(storing) => storing.await,
        None => pending().await,
    }
}

/// Waits for the end of the step in progress, and takes the edit's state.
async fn step_aside(
    ctx: &Context,
    lease: &Lease,
    run: &mut RunHandle,
    storing: Option<Storing<'_>>,
) -> Abort {
    if !ctx.settings.blobs {
        return Abort::Aside(None);
    }
    let state = async {
        match run.save().await {
            // Where an older one is on its way, it is left to the sweep, or replaced.
            Some(snapshot) => Ok(Some(snapshot)),
            None => match (run.snapshots.try_recv(), storing) {
                (Ok(snapshot), _) => Ok(Some(snapshot)),
                (Err(_), Some(storing)) => storing.await.map(|()| None),
                (Err(_), None) => Ok(None),
            },
        }
    };
    tokio::select! {
        interrupt = lease.interrupted_for_good() => interrupt.into(),
        state = state => state.map_or_else(Abort::from, Abort::Aside),
    }
}

/// Before the lease is handed back: waits for the checkpoint on its way, then stores a newer one if the engine answers
/// in time. A step that takes longer is abandoned. Each of the three waits is bounded by a quarter of the grace.
async fn final_checkpoint(
    ctx: &Context,
    claimed: &Claimed,
    run: &RunHandle,
    storing: Option<Storing<'_>>,
) {
    if !ctx.settings.blobs {
        return;
    }
    let limit = ctx.settings.shutdown_grace / 4;
    if let Some(storing) = storing
        && timeout(limit, storing).await.is_err()
    {
        tracing::warn!("the last checkpoint is not put in time");
        return;
    }
    match timeout(limit, run.save()).await {
        Ok(Some(snapshot)) => {
            let storing = checkpoint::store(ctx, claimed, snapshot);
            if timeout(limit, storing).await.is_err() {
                tracing::warn!("the last checkpoint is not put in time");
            }
        }
        Ok(None) => {}
        Err(_) => tracing::info!("a long step is abandoned"),
    }
}
