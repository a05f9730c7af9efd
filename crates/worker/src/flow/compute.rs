//! The time in the engine.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use limekiln_jobs::Failure;
use limekiln_store::Claimed;
use tokio::time::timeout;

use super::keep::{Kept, keep};
use super::live;
use super::progress::Teller;
use crate::engine::{Ended, Line, ended};
use crate::leases::{Lease, Order};
use crate::run::Context;
use crate::{Drawing, Signal, Work};

/// How the time in the engine ended.
pub(super) enum Computed {
    /// All steps are done.
    Finished {
        /// What is left to do.
        drawing: Drawing,
        /// Time on the device.
        device: Duration,
    },
    /// It can't go on.
    Failed(Failure),
    /// The lease is gone.
    Stopped,
    /// The lease is to be given back.
    HandedBack,
}

type Keeping<'a> = Pin<Box<dyn Future<Output = Kept> + Send + 'a>>;

/// Lets the engine do all steps, and looks after the edit meanwhile: progress, previews, checkpoints, orders.
pub(super) async fn compute(
    ctx: &Arc<Context>,
    claimed: &Claimed,
    lease: &Lease,
    work: Work,
) -> Computed {
    let mut line = ctx.engine.submit(work);
    lease.engine(Some(line.ticket()));
    let computed = attend(ctx, claimed, lease, &mut line).await;
    lease.engine(None);
    computed
}

async fn attend(ctx: &Arc<Context>, claimed: &Claimed, lease: &Lease, line: &mut Line) -> Computed {
    let signals = &ctx.settings.signals;
    let mut teller = Teller::new(ctx, claimed);
    let mut keeping: Option<Keeping<'_>> = None;
    let mut started = false;
    loop {
        tokio::select! {
            biased;
            order = lease.ordered() => {
                if order == Order::HandBack {
                    last_words(ctx, claimed, line, keeping).await;
                    return Computed::HandedBack;
                }
                return Computed::Stopped;
            }
            end = &mut line.end => return match ended(end) {
                Ended::Finished { drawing, device } => Computed::Finished { drawing, device },
                Ended::Failed(failure) => Computed::Failed(failure),
            },
            Ok(()) = line.progress.changed() => {
                let Some(seen) = *line.progress.borrow_and_update() else {
                    continue;
                };
                if !started {
                    started = true;
                    signals.give(Signal::Started(claimed.edit, claimed.epoch, seen.from));
                }
                if seen.now.step > seen.from {
                    signals.give(Signal::Stepped(claimed.edit, claimed.epoch, seen.now.step));
                }
                teller.see(seen.now);
            }
            stale = teller.tell() => if stale {
                return Computed::Stopped;
            },
            Some((step, jpeg)) = line.previews.recv() => live::preview(ctx, claimed, step, &jpeg),
            Some(saved) = line.saved.recv(), if keeping.is_none() => {
                keeping = Some(Box::pin(keep(ctx, claimed, saved)));
            }
            kept = under_way(&mut keeping) => {
                keeping = None;
                if kept == Kept::Stale {
                    return Computed::Stopped;
                }
            }
        }
    }
}

async fn under_way(keeping: &mut Option<Keeping<'_>>) -> Kept {
    match keeping {
        Some(keeping) => keeping.await,
        None => pending().await,
    }
}

/// Before the lease is given back: the checkpoint on its way, and then a newer one if the engine answers in time. The
/// step in progress is not waited for beyond that.
async fn last_words(
    ctx: &Arc<Context>,
    claimed: &Claimed,
    line: &Line,
    keeping: Option<Keeping<'_>>,
) {
    if !ctx.settings.blobs {
        return;
    }
    let patience = ctx.settings.shutdown_grace / 4;
    if let Some(keeping) = keeping
        && timeout(patience, keeping).await.is_err()
    {
        tracing::warn!("the last checkpoint is not put in time");
        return;
    }
    match timeout(patience, line.save()).await {
        Ok(Some(saved)) => {
            if timeout(patience, keep(ctx, claimed, saved)).await.is_err() {
                tracing::warn!("the last checkpoint is not put in time");
            }
        }
        Ok(None) => {}
        Err(_) => tracing::info!("a long step is abandoned"),
    }
}
