//! Input, mask and checkpoint from S3.

use std::time::Duration;

use bytes::Bytes;
use limekiln_blobs::{Error, Key};
use limekiln_broker::Input;
use limekiln_jobs::retry::Policy;
use limekiln_jobs::{Digest, ErrorKind, Failure, FailureClass, Retryable};
use limekiln_store::{Checkpoint, Claimed};
use tokio::time::sleep;

use crate::run::Context;

/// How S3 is tried again, whatever it answers: an operator's change counts, for an edit would fail otherwise.
pub(super) const RETRY: Policy = Policy::new(Duration::from_millis(100), Duration::from_secs(2));
/// Tries before a blob that is not there, or not itself, is given up.
const TRIES: u32 = 3;

/// What came.
pub(super) struct Fetched {
    pub(super) input: Option<Bytes>,
    pub(super) mask: Option<Bytes>,
    pub(super) saved: Option<Bytes>,
}

/// Brings the input nearer while an edit waits for the engine. What fails here is tried again after the claim.
pub(super) async fn ahead(ctx: &Context, input: Option<&Input>) {
    let (Some(cache), Some(input)) = (&ctx.cache, input) else {
        return;
    };
    let fetched = match input.key.parse::<Key>() {
        Ok(key) => {
            let fetching = cache.fetch(&ctx.blobs, &key, &input.digest, input.bytes);
            fetching.await.map(drop)
        }
        Err(error) => Err(error),
    };
    if let Err(error) = fetched {
        tracing::debug!(key = input.key, %error, "not fetched ahead");
    }
}

/// All that an edit starts from; nothing where the worker uses no blobs.
pub(super) async fn fetch(ctx: &Context, claimed: &Claimed) -> Result<Fetched, Failure> {
    if ctx.cache.is_none() {
        return Ok(Fetched {
            input: None,
            mask: None,
            saved: None,
        });
    }
    let input = &claimed.input;
    let input = blob(ctx, "input", &input.key, &input.digest, input.bytes);
    let mask = async {
        match &claimed.mask {
            Some(mask) => blob(ctx, "mask", &mask.key, &mask.digest, mask.bytes)
                .await
                .map(Some),
            None => Ok(None),
        }
    };
    let saved = async {
        match &claimed.checkpoint {
            Some(checkpoint) => saved(ctx, checkpoint).await,
            None => Ok(None),
        }
    };
    let (input, mask, saved) = tokio::try_join!(input, mask, saved)?;
    Ok(Fetched {
        input: Some(input),
        mask,
        saved,
    })
}

/// A blob that the edit can't do without.
async fn blob(
    ctx: &Context,
    what: &'static str,
    key: &str,
    digest: &Digest,
    bytes: u64,
) -> Result<Bytes, Failure> {
    let name: Key = key
        .parse()
        .map_err(|error: Error| internal("blob_key", format!("{what}: {error}")))?;
    let mut backoff = RETRY.patience(ctx.settings.blobs_patience).start();
    let mut misses = 0;
    loop {
        let error = match get(ctx, &name, digest, bytes).await {
            Ok(body) => return Ok(body),
            Err(error) => error,
        };
        let code = match error.kind() {
            ErrorKind::NotFound => "blob_missing",
            ErrorKind::Corrupt | ErrorKind::TooLarge => "blob_corrupt",
            _ => "blobs_unavailable",
        };
        misses += u32::from(code != "blobs_unavailable");
        let Some(delay) = backoff.next().filter(|_| misses < TRIES) else {
            return Err(internal(code, format!("{what}: {error}")));
        };
        tracing::warn!(what, key, %error, "trying again");
        sleep(delay).await;
    }
}

async fn get(ctx: &Context, key: &Key, digest: &Digest, bytes: u64) -> Result<Bytes, Error> {
    if let Some(cache) = &ctx.cache {
        match cache.fetch(&ctx.blobs, key, digest, bytes).await {
            // The cache's disk, most likely; S3 may still be well.
            Err(error) if error.kind() == ErrorKind::Internal => {
                tracing::warn!(%key, %error, "the cache is of no use");
            }
            answer => return answer,
        }
    }
    ctx.blobs.get(key, Some(digest), bytes).await
}

/// The state that an earlier attempt saved; none where it is gone or damaged, and the edit starts over.
async fn saved(ctx: &Context, checkpoint: &Checkpoint) -> Result<Option<Bytes>, Failure> {
    let mut backoff = RETRY.patience(ctx.settings.blobs_patience).start();
    let key: Key = match checkpoint.key.parse() {
        Ok(key) => key,
        Err(error) => {
            tracing::error!(key = checkpoint.key, %error, "starting over");
            return Ok(None);
        }
    };
    loop {
        let got = ctx
            .blobs
            .get(&key, Some(&checkpoint.digest), checkpoint.bytes);
        let error = match got.await {
            Ok(body) => {
                tracing::info!(step = checkpoint.step, "going on from a checkpoint");
                return Ok(Some(body));
            }
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::TooLarge => {
                tracing::warn!(%key, %error, "starting over");
                return Ok(None);
            }
            _ => {
                let Some(delay) = backoff.next() else {
                    let message = format!("checkpoint: {error}");
                    return Err(internal("blobs_unavailable", message));
                };
                tracing::warn!(%key, %error, "trying again");
                sleep(delay).await;
            }
        }
    }
}

pub(super) fn internal(code: &str, message: String) -> Failure {
    Failure::new(FailureClass::Internal, code, message)
}
