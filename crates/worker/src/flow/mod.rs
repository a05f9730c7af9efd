//! One edit from its message to its end.
//!
//! # Layout
//!
//! - `fetch`: input, mask and checkpoint from S3, ahead of the claim and after it
//! - `compute`: the time in the engine
//! - `progress`: what is told of it, and how often
//! - `keep`: checkpoints
//! - `deliver`: results drawn and put
//! - `live`: events to watchers

mod compute;
mod deliver;
mod fetch;
mod keep;
mod live;
mod progress;

use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use limekiln_broker::{Delivery, trace};
use limekiln_jobs::{Failure, FailureClass};
use limekiln_store::{Claimed, Completion, Failed, Write};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;

use crate::leases::{Lease, Order};
use crate::run::Context;
use crate::{Prepared, Signal, Work, intake, metrics};
use compute::Computed;

/// How an attempt ended, before that is written.
enum End {
    /// With results that are put.
    Completed(Completion),
    /// With a failure.
    Failed(Failure),
    /// Without any right to write.
    Stopped,
    /// By giving the lease back.
    HandedBack,
}

/// An edit's places: in the engine, and in the room before it. Given up when the engine is done with the edit.
type Places = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// Sees one message through. Dropped anywhere, the message comes again and the lease runs out.
pub(crate) async fn run(
    ctx: Arc<Context>,
    delivery: Delivery,
    room: OwnedSemaphorePermit,
    free: Option<OwnedSemaphorePermit>,
) {
    let edit = delivery.hint.edit;
    let Some(slot) = slot(&ctx, &delivery, free).await else {
        delivery.requeue();
        return;
    };
    let since = Instant::now();
    let claimed = match ctx.ledger.edit_claim(edit).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => {
            metrics::claim("unclaimable");
            tracing::debug!(%edit, announcement = delivery.hint.announcement, "unclaimable");
            ctx.settings.signals.give(Signal::Unclaimable(edit));
            delivery.ack();
            return;
        }
        Err(error) => {
            tracing::error!(%edit, %error, "not claimed");
            delivery.requeue();
            return;
        }
    };
    let lease = ctx.leases.enter(edit, claimed.epoch, since);
    let span = tracing::info_span!(
        "edit",
        %edit,
        epoch = %claimed.epoch,
        tenant = %claimed.tenant,
        trace = claimed.trace.as_deref(),
    );
    if let Some(parent) = &claimed.trace {
        trace::adopt(&span, parent);
    }
    async {
        metrics::claim("claimed");
        live::started(&ctx, &claimed);
        ctx.settings
            .signals
            .give(Signal::Claimed(edit, claimed.epoch));
        let end = attempt(&ctx, &claimed, &lease, (slot, room)).await;
        if settle(&ctx, &claimed, end).await {
            delivery.ack();
        } else {
            delivery.requeue();
        }
    }
    .instrument(span)
    .await;
}

/// A place in the engine, with the input fetched while there is none. None where no more is taken.
async fn slot(
    ctx: &Arc<Context>,
    delivery: &Delivery,
    free: Option<OwnedSemaphorePermit>,
) -> Option<OwnedSemaphorePermit> {
    if ctx.closing.is_cancelled() {
        return None;
    }
    if free.is_some() {
        return free;
    }
    let mut holds = ctx.holds();
    // A place is worth more than the input, which is fetched again after the claim.
    let ahead = async {
        fetch::ahead(ctx, delivery.hint.input.as_ref()).await;
        pending().await
    };
    tokio::select! {
        biased;
        () = ctx.closing.cancelled() => None,
        () = intake::held(&mut holds) => None,
        slot = Arc::clone(&ctx.slots).acquire_owned() => slot.ok(),
        () = ahead => None,
    }
}

/// Everything under the lease but its last write.
async fn attempt(ctx: &Arc<Context>, claimed: &Claimed, lease: &Lease, places: Places) -> End {
    let made_ready = tokio::select! {
        order = lease.ordered() => return obeyed(order),
        work = work(ctx, claimed) => work,
    };
    let work = match made_ready {
        Ok(work) => work,
        Err(failure) => return End::Failed(failure),
    };
    let computed = compute::compute(ctx, claimed, lease, work).await;
    drop(places);
    match computed {
        Computed::Finished { drawing, device } => {
            let delivering = deliver::deliver(ctx, claimed, drawing, device);
            tokio::pin!(delivering);
            let delivered = tokio::select! {
                order = lease.ordered() => match order {
                    // The work is done, and half the grace is enough for putting it where S3 is well.
                    Order::HandBack => {
                        match tokio::time::timeout(ctx.settings.shutdown_grace / 2, delivering).await {
                            Ok(delivered) => delivered,
                            Err(_) => return End::HandedBack,
                        }
                    }
                    order => return obeyed(order),
                },
                delivered = &mut delivering => delivered,
            };
            delivered.map_or_else(End::Failed, End::Completed)
        }
        Computed::Failed(failure) => End::Failed(failure),
        Computed::Stopped => End::Stopped,
        Computed::HandedBack => End::HandedBack,
    }
}

fn obeyed(order: Order) -> End {
    match order {
        Order::HandBack => End::HandedBack,
        Order::Stop | Order::Go => End::Stopped,
    }
}

/// What the engine is given.
async fn work(ctx: &Arc<Context>, claimed: &Claimed) -> Result<Work, Failure> {
    let began = Instant::now();
    let fetched = fetch::fetch(ctx, claimed).await?;
    metrics::stage("fetch", began.elapsed());
    let prepared = match (ctx.engine.sizing(&claimed.model), fetched.input.clone()) {
        (Some(sizing), Some(input)) => {
            let began = Instant::now();
            let (spec, mask) = (claimed.spec.clone(), fetched.mask);
            let read = move || Prepared::read(&input, mask.as_deref(), &spec, sizing);
            let prepared = tokio::task::spawn_blocking(read).await.map_err(|error| {
                Failure::new(FailureClass::Internal, "image_panicked", error.to_string())
            })??;
            metrics::stage("read", began.elapsed());
            Some(prepared)
        }
        _ => None,
    };
    Ok(Work {
        model: claimed.model.clone(),
        spec: claimed.spec.clone(),
        input: fetched.input,
        prepared,
        saved: fetched.saved,
    })
}

/// Writes how the attempt ended; whether the message is done with.
async fn settle(ctx: &Arc<Context>, claimed: &Claimed, end: End) -> bool {
    let (edit, epoch) = (claimed.edit, claimed.epoch);
    let began = Instant::now();
    let (outcome, done, write) = match end {
        End::Completed(completion) => {
            let write = ctx.ledger.edit_complete(completion).await;
            metrics::stage("complete", began.elapsed());
            ("completed", Signal::Completed(edit, epoch), write)
        }
        End::Failed(failure) => {
            tracing::warn!(class = ?failure.class, %failure, "the attempt failed");
            let failed = Failed {
                edit,
                epoch,
                failure,
            };
            let write = ctx.ledger.edit_fail(failed).await;
            ("failed", Signal::Failed(edit, epoch), write)
        }
        End::HandedBack => {
            let write = ctx.ledger.edit_hand_back(edit, epoch).await;
            ("handed_back", Signal::HandedBack(edit, epoch), write)
        }
        End::Stopped => {
            metrics::attempt("stopped");
            tracing::info!("stopped");
            ctx.settings.signals.give(Signal::Stopped(edit, epoch));
            return true;
        }
    };
    match write {
        Ok(Write::Applied { seq }) => {
            metrics::attempt(outcome);
            tracing::info!(outcome, seq, "the attempt has ended");
            match outcome {
                "completed" => live::succeeded(ctx, edit, seq),
                _ => live::stored(ctx, edit, seq).await,
            }
            if outcome == "handed_back" {
                ctx.broker.wake();
            }
            ctx.settings.signals.give(done);
            true
        }
        Ok(Write::Stale | Write::Missing) => {
            metrics::stale(outcome);
            tracing::info!(outcome, "refused: the lease is gone");
            ctx.settings.signals.give(Signal::Stale(edit, epoch));
            true
        }
        Err(error) => {
            metrics::attempt("abandoned");
            tracing::error!(outcome, %error, "the outcome is not written: the lease runs out");
            false
        }
    }
}
