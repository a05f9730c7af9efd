//! What an edit starts from: input, mask and checkpoint from S3.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::try_join_all;
use limekiln_blobs::{Error, Key};
use limekiln_jobs::retry::Policy;
use limekiln_jobs::{Class, Digest, ErrorKind, Failure, Retryable};
use limekiln_lime::Known;
use limekiln_store::{Checkpoint, Claimed};
use tokio::time::sleep;

use super::abort::internal;
use crate::context::Context;
use crate::memory::{Held, Need};
use crate::resolve::{self, Unready};
use crate::reuse::{self, Reusing};
use crate::{Prepared, Work, metrics};

/// How S3 is tried again, whatever it answers: an edit would fail otherwise that an operator's change can still save.
pub(super) const RETRY: Policy = Policy::new(Duration::from_millis(100), Duration::from_secs(2));
/// Tries before a blob that is missing or damaged is given up.
const TRIES: u32 = 3;

/// Turns that are stored as what they changed, one over the other, before one is stored whole: whoever shows such a picture reads
/// them all.
const PATCHES_MAX: usize = 250;
/// Patches that are fetched at a time.
const PATCHES_AT_ONCE: usize = 8;

#[derive(Default)]
struct Fetched {
    input: Option<Bytes>,
    patches: Vec<Bytes>,
    mask: Option<Bytes>,
    saved: Option<Bytes>,
}

/// Fetches what the engine needs for a claimed edit, and makes the pictures into a request, beside the engine's thread and in
/// memory that is taken for the whole edit before. Looks up what earlier edits of the picture computed.
pub(super) async fn work(
    ctx: &Context,
    claimed: &Claimed,
) -> Result<(Work, Held, Option<Reusing>), Unready> {
    let missing = resolve::missing(&claimed.spec, &ctx.settings.can);
    if !missing.is_empty() {
        return Err(Unready::Unable(missing));
    }
    let began = Instant::now();
    let fetched = fetch(ctx, claimed).await?;
    metrics::stage("fetch", began.elapsed());
    let (prepared, held, mut reusing) =
        match (ctx.engine.sizing(&claimed.model), fetched.input.clone()) {
            (Some(sizing), Some(input)) => {
                let (spec, mask) = (claimed.spec.clone(), fetched.mask);
                let patches = fetched.patches;
                let began = Instant::now();
                let (cost, recolors) = resolve::cost(&spec)?;
                ctx.limits.check(&claimed.model, cost, spec.size)?;
                let need = Need::of(&input, mask.as_deref(), &spec, sizing, recolors)?;
                let need = need.layered(patches.iter().map(Bytes::len).sum());
                let held = Held::take(&ctx.memory, need).await?;
                metrics::stage("memory", began.elapsed());
                let began = Instant::now();
                // The memory is held until the thread has ended, also when nobody waits for it any more.
                let (of, engine) = (
                    claimed.clone(),
                    ctx.engine.name(&claimed.model).map(str::to_owned),
                );
                let read = move || {
                    let prepared =
                        Prepared::read((&input, &patches), mask.as_deref(), &spec, sizing)?;
                    let reusing = engine.and_then(|engine| reuse::reusing(&of, &prepared, &engine));
                    Ok::<_, Unready>((prepared, held, reusing))
                };
                let (prepared, held, reusing) = tokio::task::spawn_blocking(read)
                    .await
                    .map_err(|error| internal("image_panicked", error.to_string()))??;
                metrics::stage("read", began.elapsed());
                (Some(prepared), held, reusing)
            }
            _ => (None, Held::default(), None),
        };
    let mut known = Known::default();
    if let (Some(reusing), Some(prepared)) = (&mut reusing, &prepared) {
        let began = Instant::now();
        known = reuse::find(ctx, claimed, &prepared.asked, reusing).await;
        metrics::stage("find_known", began.elapsed());
    }
    let work = Work {
        model: claimed.model.clone(),
        spec: claimed.spec.clone(),
        input: fetched.input,
        prepared,
        known,
        saved: fetched.saved,
        patched: claimed.session.is_some() && claimed.patches.len() < PATCHES_MAX,
        alone: claimed.hangs > 0,
        interactive: claimed.class == Class::Interactive,
    };
    Ok((work, held, reusing))
}

/// All blobs that the edit starts from, side by side; none where the worker uses no blobs.
async fn fetch(ctx: &Context, claimed: &Claimed) -> Result<Fetched, Failure> {
    if ctx.cache.is_none() {
        return Ok(Fetched::default());
    }
    let patches = async {
        let mut patches = Vec::with_capacity(claimed.patches.len());
        for some in claimed.patches.chunks(PATCHES_AT_ONCE) {
            let fetches = some
                .iter()
                .map(|patch| blob(ctx, "patch", &patch.key, &patch.digest, patch.bytes));
            patches.append(&mut try_join_all(fetches).await?);
        }
        Ok(patches)
    };
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
    let (input, patches, mask, saved) = tokio::try_join!(input, patches, mask, saved)?;
    Ok(Fetched {
        input: Some(input),
        patches,
        mask,
        saved,
    })
}

/// Fetches a blob that the edit can't do without.
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
    let mut backoff = RETRY.patience(ctx.settings.blobs_retry_for).start();
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

/// Gets a blob through the cache, or past it where the cache itself is at fault.
async fn get(ctx: &Context, key: &Key, digest: &Digest, bytes: u64) -> Result<Bytes, Error> {
    if let Some(cache) = &ctx.cache {
        match cache.fetch(&ctx.blobs, key, digest, bytes).await {
            // Most likely the cache's disk; S3 may still be well.
            Err(error) if error.kind() == ErrorKind::Internal => {
                tracing::warn!(%key, %error, "the cache is of no use");
            }
            answer => return answer,
        }
    }
    ctx.blobs.get(key, Some(digest), bytes).await
}

/// Fetches the state that an earlier attempt saved. None where it is missing or damaged: the edit starts over then.
async fn saved(ctx: &Context, checkpoint: &Checkpoint) -> Result<Option<Bytes>, Failure> {
    let mut backoff = RETRY.patience(ctx.settings.blobs_retry_for).start();
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
