//! After an edit: what it computed of its picture is kept for others.

use bytes::Bytes;
use futures_util::future::join_all;
use limekiln_blobs::Key as BlobKey;
use limekiln_jobs::{Digest, IntermediateId};
use limekiln_lime::known::Kind;
use limekiln_store::{Claimed, NewIntermediate};
use tokio::time::timeout;

use super::{PATIENCE, Reusing};
use crate::context::Context;
use crate::metrics;

/// A blob's format is the engine's own.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Keeps what an edit `made`, in memory at once, and for other workers as far as that works in time.
pub(crate) async fn keep(
    ctx: &Context,
    claimed: &Claimed,
    reusing: Reusing,
    made: Vec<(Kind, Bytes)>,
) {
    for (kind, blob) in &made {
        if let Some(key) = reusing.key(*kind) {
            ctx.reuse.put(claimed.tenant, key, blob.clone());
        }
    }
    let shared = async {
        let used: Vec<Digest> = reusing.used.iter().map(|key| Digest::from(*key)).collect();
        if !used.is_empty()
            && let Err(error) = ctx.store.intermediates_used(claimed.tenant, &used).await
        {
            tracing::debug!(%error, "that it was used is not recorded");
        }
        let put = made
            .into_iter()
            .map(|(kind, blob)| put(ctx, claimed, &reusing, kind, blob));
        let new: Vec<NewIntermediate> = join_all(put).await.into_iter().flatten().collect();
        if !new.is_empty() {
            index(ctx, claimed, &reusing, new).await;
        }
    };
    if timeout(PATIENCE, shared).await.is_err() {
        metrics::reuse_failed("keep");
        tracing::warn!("what the edit computed is not kept for others in time");
    }
}

/// Puts one blob. One that nothing comes to refer to is left to the sweep.
async fn put(
    ctx: &Context,
    claimed: &Claimed,
    reusing: &Reusing,
    kind: Kind,
    blob: Bytes,
) -> Option<NewIntermediate> {
    let key = reusing.key(kind)?;
    let blob_key = BlobKey::intermediate(claimed.tenant, IntermediateId::new());
    match ctx.blobs.put(&blob_key, blob, MEDIA_TYPE).await {
        Ok(stored) => Some(NewIntermediate {
            key: key.into(),
            kind: kind.name(),
            object: reusing
                .object()
                .filter(|_| kind == Kind::Region)
                .map(Digest::from),
            blob_key: blob_key.to_string(),
            digest: stored.digest,
            bytes: stored.bytes,
        }),
        Err(error) => {
            metrics::reuse_failed("put");
            tracing::warn!(kind = kind.name(), %error, "not kept for others");
            None
        }
    }
}

async fn index(ctx: &Context, claimed: &Claimed, reusing: &Reusing, new: Vec<NewIntermediate>) {
    let owner = (claimed.tenant, claimed.edit);
    let kept = match ctx
        .store
        .intermediates_keep(owner, &reusing.source, &new)
        .await
    {
        Ok(kept) => kept,
        Err(error) => {
            // Whether it was written is not known, so the sweep decides.
            metrics::reuse_failed("keep");
            tracing::warn!(%error, "what the edit computed is not kept for others");
            return;
        }
    };
    let (kept, unused): (Vec<_>, Vec<_>) = new
        .into_iter()
        .partition(|new| kept.contains(&new.blob_key));
    for new in kept {
        metrics::kept(new.kind, new.bytes);
    }
    // Another worker made the same, and was first.
    let unused: Vec<BlobKey> = unused
        .iter()
        .filter_map(|new| new.blob_key.parse().ok())
        .collect();
    if !unused.is_empty()
        && let Err(error) = ctx.blobs.delete(&unused).await
    {
        tracing::debug!(%error, "blobs that nothing refers to are left to the sweep");
    }
}
