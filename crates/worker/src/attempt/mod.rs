//! One edit from its message to its end: wait for a slot, claim, fetch, compute, upload, write the outcome, ack.
//!
//! # Layout
//!
//! - `fetch`: input, mask and checkpoint from S3, ahead of the claim and after it
//! - `compute`: the time in the engine
//! - `progress`: when the edit's progress is written
//! - `checkpoint`: the edit's state to S3, and the reference to it in Postgres
//! - `upload`: results rendered and put to S3
//! - `settle`: how the attempt ended, written to Postgres
//! - `events`: live events to watchers
//! - `abort`: why an attempt ends without results
//! - `unable`: edits that came here and need what this worker can't do

mod abort;
mod checkpoint;
mod compute;
mod events;
mod fetch;
mod progress;
mod settle;
mod unable;
mod upload;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use limekiln_broker::{Delivery, trace};
use limekiln_store::{Claimed, Completion};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::admission::Admission;
use crate::context::Context;
use crate::leases::{Interrupt, Lease};
use crate::{Signal, metrics};
use abort::Abort;

/// Sees one message through. The message is acked only once the attempt's outcome is in Postgres: when this future is
/// dropped or panics, the message is delivered again and the lease runs out.
///
/// `capacity` is the edit's permit to be here at all; `slot` is its permit to use the engine, if one was free at once.
pub(crate) async fn process(
    ctx: Arc<Context>,
    delivery: Delivery,
    capacity: OwnedSemaphorePermit,
    slot: Option<OwnedSemaphorePermit>,
) {
    let edit = delivery.hint.edit;
    let Some(slot) = wait_for_slot(&ctx, &delivery, slot).await else {
        delivery.requeue();
        return;
    };
    let claim_sent_at = Instant::now();
    let claimed = match ctx.ledger.edit_claim(edit).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => {
            metrics::claim("unclaimable");
            tracing::debug!(%edit, announcement = delivery.hint.announcement, "unclaimable");
            ctx.settings.signals.emit(Signal::Unclaimable(edit));
            delivery.ack();
            drop((slot, capacity));
            unable::give_back(&ctx, edit).await;
            return;
        }
        Err(error) => {
            tracing::error!(%edit, %error, "not claimed");
            delivery.requeue();
            return;
        }
    };
    unable::claimed(&ctx);
    let lease = ctx.leases.register(edit, claimed.epoch, claim_sent_at);
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
        events::started(&ctx, &claimed);
        let signal = Signal::Claimed(edit, claimed.epoch);
        ctx.settings.signals.emit(signal);
        let outcome = attempt(&ctx, &claimed, &lease, (slot, capacity)).await;
        if settle::settle(&ctx, &claimed, outcome).await {
            delivery.ack();
        } else {
            delivery.requeue();
        }
    }
    .instrument(span)
    .await;
}

/// Waits for a slot in the engine, and fetches the input meanwhile. None once no more edits are taken.
async fn wait_for_slot(
    ctx: &Context,
    delivery: &Delivery,
    slot: Option<OwnedSemaphorePermit>,
) -> Option<OwnedSemaphorePermit> {
    if ctx.closing.is_cancelled() {
        return None;
    }
    if slot.is_some() {
        return slot;
    }
    let mut admission = ctx.admission.subscribe();
    // A free slot is not made to wait for the input: the fetch is dropped, and done again after the claim.
    let prefetch = async {
        fetch::prefetch(ctx, delivery.hint.input.as_ref()).await;
        pending().await
    };
    tokio::select! {
        biased;
        () = ctx.closing.cancelled() => None,
        () = Admission::closed(&mut admission) => None,
        slot = Arc::clone(&ctx.slots).acquire_owned() => slot.ok(),
        () = prefetch => None,
    }
}

/// Everything under the lease except writing the outcome. An interrupt of the lease ends it at any point.
async fn attempt(
    ctx: &Arc<Context>,
    claimed: &Claimed,
    lease: &Lease,
    permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
) -> Result<Completion, Abort> {
    let (work, mut held) = tokio::select! {
        interrupt = lease.interrupted() => return Err(interrupt.into()),
        work = fetch::work(ctx, claimed) => work?,
    };
    held.start_computing();
    let (finished, mut held) = compute::compute(ctx, claimed, lease, work, held).await?;
    held.start_drawing();
    // The engine is done with the edit: the next one may have the slot while the results are uploaded.
    drop(permits);
    let mut upload = pin!(upload::upload(ctx, claimed, finished, held));
    let interrupt = tokio::select! {
        interrupt = lease.interrupted() => interrupt,
        completion = &mut upload => return Ok(completion?),
    };
    // All steps are done. A shutdown leaves half of its grace to the upload, which is enough where S3 is well.
    if interrupt == Interrupt::HandBack
        && let Ok(completion) = timeout(ctx.settings.shutdown_grace / 2, upload).await
    {
        return Ok(completion?);
    }
    Err(interrupt.into())
}
