//! Results: rendered, then put to S3 under keys that carry the epoch, so that nothing ever refers to what a worker
//! without a lease puts.

use std::time::Instant;

use futures_util::future::{join, try_join_all};
use limekiln_blobs::Key;
use limekiln_jobs::Failure;
use limekiln_store::{Claimed, Completion, NewArtifact};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::abort::internal;
use super::fetch::RETRY;
use crate::context::Context;
use crate::engine::Finished;
use crate::memory::Held;
use crate::reuse::{self, Reusing};
use crate::{Output, Outputs, metrics};

/// Renders and uploads an edit's results; returns what completes the edit.
pub(super) async fn upload(
    ctx: &Context,
    claimed: &Claimed,
    finished: Finished,
    (held, reusing): (Held, Option<Reusing>),
    gpu_ms: u64,
) -> Result<Completion, Failure> {
    let Finished { render } = finished;
    let began = Instant::now();
    let stop = CancellationToken::new();
    // Whoever drops this future wants no results any more.
    let _guard = stop.clone().drop_guard();
    let draw = move || {
        let outputs = render(&stop);
        held.drawn();
        Ok::<_, Failure>((outputs?, held))
    };
    let (
        Outputs {
            files,
            report,
            made,
            matte,
        },
        _held,
    ) = tokio::task::spawn_blocking(draw)
        .await
        .map_err(|error| internal("drawing_panicked", error.to_string()))??;
    metrics::stage("draw", began.elapsed());
    let began = Instant::now();
    let artifacts = if ctx.settings.blobs {
        let put = try_join_all(files.into_iter().map(|file| put(ctx, claimed, file)));
        // What is kept for others is there when the edit is seen to have succeeded: the next one may come at once.
        let kept = async {
            if let Some(reusing) = reusing {
                reuse::keep(ctx, claimed, reusing.made(matte), made).await;
            }
        };
        let (put, ()) = join(put, kept).await;
        put?
    } else {
        Vec::new()
    };
    metrics::stage("put", began.elapsed());
    Ok(Completion {
        edit: claimed.edit,
        epoch: claimed.epoch,
        artifacts,
        report,
        gpu_ms,
    })
}

/// Puts one file, and tries again for as long as S3 may be away.
async fn put(ctx: &Context, claimed: &Claimed, file: Output) -> Result<NewArtifact, Failure> {
    let kind = file.kind;
    let key = Key::edit(
        claimed.tenant,
        claimed.edit,
        claimed.epoch,
        kind.file_name(),
    )
    .map_err(|error| internal("blob_key", error.to_string()))?;
    let mut backoff = RETRY.patience(ctx.settings.blobs_retry_for).start();
    let stored = loop {
        let put = ctx.blobs.put(&key, file.body.clone(), kind.media_type());
        let error = match put.await {
            Ok(stored) => break stored,
            Err(error) => error,
        };
        let Some(delay) = backoff.next() else {
            return Err(internal("blobs_unavailable", format!("{kind}: {error}")));
        };
        tracing::warn!(%key, %error, "trying again");
        sleep(delay).await;
    };
    Ok(NewArtifact {
        kind,
        key: key.to_string(),
        digest: stored.digest,
        bytes: stored.bytes,
        media_type: kind.media_type().to_owned(),
        width: file.size.map(|(width, _)| width),
        height: file.size.map(|(_, height)| height),
    })
}
