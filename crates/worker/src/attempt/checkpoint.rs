//! Checkpoints: put to S3 first, then referred to in Postgres.

use std::time::Instant;

use limekiln_blobs::Key;
use limekiln_store::{Checkpoint, Checkpointed, Claimed, Write};

use super::abort::LeaseLost;
use crate::context::Context;
use crate::engine::Snapshot;
use crate::{Signal, metrics};

/// A checkpoint's format is the engine's own.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Stores a state of the edit, and deletes the one before. A checkpoint that can't be stored does not end the edit: it
/// only costs the steps since the last one, should the worker die.
pub(super) async fn store(
    ctx: &Context,
    claimed: &Claimed,
    snapshot: Snapshot,
) -> Result<(), LeaseLost> {
    let (edit, epoch, step) = (claimed.edit, claimed.epoch, snapshot.step);
    let began = Instant::now();
    let key = Key::checkpoint(claimed.tenant, edit, epoch, step);
    let stored = match ctx.blobs.put(&key, snapshot.bytes, MEDIA_TYPE).await {
        Ok(stored) => stored,
        Err(error) => {
            tracing::warn!(step, %error, "no checkpoint: it can't be put");
            return Ok(());
        }
    };
    metrics::stage("put_checkpoint", began.elapsed());
    let checkpoint = Checkpointed {
        edit,
        epoch,
        checkpoint: Checkpoint {
            key: key.to_string(),
            step,
            digest: stored.digest,
            bytes: stored.bytes,
        },
    };
    let (write, unused) = match ctx.ledger.edit_checkpoint(checkpoint).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(step, %error, "no checkpoint: it can't be recorded");
            return Ok(());
        }
    };
    match write {
        Write::Applied { .. } => {
            metrics::checkpoint(stored.bytes);
            let signal = Signal::Checkpointed(edit, epoch, step);
            ctx.settings.signals.emit(signal);
            tracing::debug!(step, bytes = stored.bytes, "checkpoint");
            // The store names the offered key where the row is at this step already. That may be by an earlier try of
            // this write whose answer was lost, so the row may refer to it.
            if let Some(unused) = unused.filter(|unused| *unused != key.as_str()) {
                delete(ctx, &unused).await;
            }
            Ok(())
        }
        Write::Stale | Write::Missing => {
            metrics::stale("checkpoint");
            ctx.settings.signals.emit(Signal::Stale(edit, epoch));
            Err(LeaseLost)
        }
    }
}

/// Forgets a checkpoint that could not be used, so that the steps and checkpoints which follow count again.
pub(super) async fn start_over(
    ctx: &Context,
    claimed: &Claimed,
    unused: &Checkpoint,
) -> Result<(), LeaseLost> {
    let (edit, epoch) = (claimed.edit, claimed.epoch);
    let write = ctx.ledger.edit_start_over(edit, epoch, unused.key.clone());
    match write.await {
        Ok(Write::Applied { .. }) => {
            metrics::started_over();
            tracing::warn!(
                step = unused.step,
                "the checkpoint can't be used: the edit starts over"
            );
            delete(ctx, &unused.key).await;
            ctx.settings.signals.emit(Signal::StartedOver(edit, epoch));
            Ok(())
        }
        Ok(Write::Stale | Write::Missing) => {
            metrics::stale("start_over");
            ctx.settings.signals.emit(Signal::Stale(edit, epoch));
            Err(LeaseLost)
        }
        Err(error) => {
            tracing::warn!(%error, "starting over is not recorded: no checkpoint is kept until the old one is passed");
            Ok(())
        }
    }
}

async fn delete(ctx: &Context, key: &str) {
    let deleted = match key.parse::<Key>() {
        Ok(key) => ctx.blobs.delete(&[key]).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = deleted {
        tracing::debug!(key, %error, "an old checkpoint is left to the sweep");
    }
}
