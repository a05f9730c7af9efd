//! One edit from its message to its end: claim, fetch, compute, upload, write the outcome, ack.
//!
//! # Layout
//!
//! - `fetch`: input, mask and checkpoint from S3
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

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use limekiln_broker::{Delivery, Slot, trace};
use limekiln_store::{Claimed, Completion};
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::context::Context;
use crate::engine::Snapshot;
use crate::leases::{Interrupt, Lease};
use crate::{Signal, metrics};
use abort::Abort;

/// Sees one message through. The message is acked only once the attempt's outcome is in Postgres: when this future is
/// dropped or panics, the message is delivered again and the lease runs out.
pub(crate) async fn process(ctx: Arc<Context>, mut delivery: Delivery) {
    let edit = delivery.hint.edit;
    if ctx.closing.is_cancelled() {
        delivery.requeue();
        return;
    }
    let slot = delivery.take_slot();
    let claim_sent_at = Instant::now();
    let claimed = match ctx.ledger.edit_claim(edit).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => {
            metrics::claim("unclaimable");
            tracing::debug!(%edit, announcement = delivery.hint.announcement, "unclaimable");
            ctx.settings.signals.emit(Signal::Unclaimable(edit));
            delivery.ack();
            drop(slot);
            unable::give_back(&ctx, edit).await;
            return;
        }
        Err(error) => {
            tracing::error!(%edit, %error, "not claimed");
            delivery.requeue();
            return;
        }
    };
    let lease = ctx.leases.register(edit, claimed.epoch, claim_sent_at);
    ctx.claimed.notify_one();
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
        let outcome = attempt(&ctx, &claimed, &lease, slot).await;
        if settle::settle(&ctx, &claimed, lease.device_ms(), outcome).await {
            delivery.ack();
        } else {
            delivery.requeue();
        }
    }
    .instrument(span)
    .await;
}

/// Everything under the lease except writing the outcome. An interrupt of the lease ends it at any point.
async fn attempt(
    ctx: &Arc<Context>,
    claimed: &Claimed,
    lease: &Lease,
    slot: Slot,
) -> Result<Completion, Abort> {
    let (work, mut held, reusing) = tokio::select! {
        interrupt = lease.interrupted() => return Err(interrupt.into()),
        work = fetch::work(ctx, claimed) => work?,
    };
    held.start_computing();
    let (finished, mut held) = match compute::compute(ctx, claimed, lease, work, held).await {
        Err(Abort::Aside(snapshot)) => {
            // The engine has let go of it: the other one need not wait until the checkpoint is put.
            drop(slot);
            return Err(aside(ctx, claimed, lease, snapshot).await);
        }
        computed => computed?,
    };
    held.start_drawing();
    // The engine is done with the edit: the next one may have the slot while the results are uploaded.
    drop(slot);
    let mut upload = pin!(upload::upload(
        ctx,
        claimed,
        finished,
        (held, reusing),
        lease.device_ms()
    ));
    let interrupt = tokio::select! {
        // Nobody waits for a slot that is free.
        interrupt = lease.interrupted_for_good() => interrupt,
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

/// Stores the state of an edit that stepped aside; says how the attempt ends.
async fn aside(
    ctx: &Context,
    claimed: &Claimed,
    lease: &Lease,
    snapshot: Option<Snapshot>,
) -> Abort {
    if let Some(snapshot) = snapshot {
        tokio::select! {
            interrupt = lease.interrupted_for_good() => return interrupt.into(),
            stored = checkpoint::store(ctx, claimed, snapshot) => if let Err(lost) = stored {
                return lost.into();
            },
        }
    }
    Interrupt::Aside.into()
}
