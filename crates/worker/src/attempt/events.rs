//! Live events to watchers. Postgres keeps every event, so that one which is lost here is read there.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use limekiln_jobs::{EditEvent, EditId, EventKind, Live};
use limekiln_store::Claimed;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::context::Context;
use crate::{Progress, metrics};

/// The longest that reading an event back may take; watchers read a later one from Postgres themselves.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn started(ctx: &Context, claimed: &Claimed) {
    let checkpoint_step = claimed
        .checkpoint
        .as_ref()
        .map_or(0, |checkpoint| checkpoint.step);
    let data = json!({
        "epoch": claimed.epoch,
        "attempts": claimed.attempts,
        "worker": ctx.worker,
        "checkpoint_step": checkpoint_step,
    });
    publish(ctx, claimed, claimed.seq, EventKind::Started, data);
}

pub(super) fn progress(ctx: &Context, claimed: &Claimed, seq: u64, progress: Progress) {
    let Progress { stage, step, steps } = progress;
    let data = json!({ "stage": stage, "step": step, "steps": steps });
    publish(ctx, claimed, seq, EventKind::Progress, data);
}

pub(super) fn succeeded(ctx: &Context, claimed: &Claimed, seq: u64) {
    publish(ctx, claimed, seq, EventKind::Succeeded, json!({}));
}

/// Publishes an event whose details only Postgres knows, as it is stored there.
pub(super) async fn stored(ctx: &Context, edit: EditId, seq: u64) {
    let read = ctx.store.events_after(edit, seq.saturating_sub(1), 1);
    match timeout(READ_TIMEOUT, read).await {
        Ok(Ok(events)) => events
            .into_iter()
            .for_each(|event| ctx.broker.publish_live(&Live::Event(event))),
        Ok(Err(error)) => tracing::debug!(%edit, seq, %error, "an event is not published"),
        Err(_) => tracing::debug!(%edit, seq, "an event is not published"),
    }
}

pub(super) fn preview(ctx: &Context, claimed: &Claimed, step: u32, jpeg: &[u8]) {
    metrics::preview();
    ctx.broker.publish_live(&Live::Preview {
        edit: claimed.edit,
        session: claimed.session,
        epoch: claimed.epoch,
        step,
        jpeg: BASE64_STANDARD.encode(jpeg),
    });
}

fn publish(ctx: &Context, claimed: &Claimed, seq: u64, kind: EventKind, data: Value) {
    ctx.broker.publish_live(&Live::Event(EditEvent {
        edit: claimed.edit,
        session: claimed.session,
        seq,
        at: ctx.store.clock(),
        kind,
        data,
    }));
}
