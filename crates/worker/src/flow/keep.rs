//! Checkpoints: put to S3, then referred to in Postgres.

use std::sync::Arc;
use std::time::Instant;

use limekiln_blobs::Key;
use limekiln_store::{Checkpoint, Checkpointed, Claimed, Write};

use crate::engine::Saved;
use crate::run::Context;
use crate::{Signal, metrics};

/// Of bytes that nobody but us can read.
const MEDIA_TYPE: &str = "application/octet-stream";

/// What became of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The edit goes on, with or without it.
    Fine,
    /// The lease is gone.
    Stale,
}

/// Keeps a state. One that can't be kept costs nothing but time, should the worker die.
pub(super) async fn keep(ctx: &Arc<Context>, claimed: &Claimed, saved: Saved) -> Kept {
    let (edit, epoch) = (claimed.edit, claimed.epoch);
    let began = Instant::now();
    let key = Key::checkpoint(claimed.tenant, edit, epoch, saved.step);
    let stored = match ctx.blobs.put(&key, saved.bytes, MEDIA_TYPE).await {
        Ok(stored) => stored,
        Err(error) => {
            tracing::warn!(step = saved.step, %error, "no checkpoint: it can't be put");
            return Kept::Fine;
        }
    };
    metrics::stage("put_checkpoint", began.elapsed());
    let checkpoint = Checkpointed {
        edit,
        epoch,
        checkpoint: Checkpoint {
            key: key.to_string(),
            step: saved.step,
            digest: stored.digest,
            bytes: stored.bytes,
        },
    };
    let (write, unused) = match ctx.ledger.edit_checkpoint(checkpoint).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(step = saved.step, %error, "no checkpoint: it can't be recorded");
            return Kept::Fine;
        }
    };
    match write {
        Write::Applied { .. } => {
            metrics::checkpoint(stored.bytes);
            let signal = Signal::Checkpointed(edit, epoch, saved.step);
            ctx.settings.signals.give(signal);
            tracing::debug!(step = saved.step, bytes = stored.bytes, "checkpoint");
            // Never the one just offered: an answer that was lost may have been that it is referred to.
            if let Some(unused) = unused.filter(|unused| *unused != key.as_str()) {
                forget(ctx, &unused).await;
            }
            Kept::Fine
        }
        Write::Stale | Write::Missing => {
            metrics::stale("checkpoint");
            ctx.settings.signals.give(Signal::Stale(edit, epoch));
            Kept::Stale
        }
    }
}

async fn forget(ctx: &Context, name: &str) {
    let deleted = match name.parse::<Key>() {
        Ok(key) => ctx.blobs.delete(&[key]).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = deleted {
        tracing::debug!(key = name, %error, "an old checkpoint is left to the sweep");
    }
}
