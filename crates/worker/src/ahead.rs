//! Inputs of edits that wait, fetched into the cache while all slots are busy. Which they are is seen in Postgres, and binds
//! nobody: any worker may get those edits.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use limekiln_blobs::{Cache, Error, Key};
use limekiln_store::BlobRef;
use tokio::time::sleep;

use crate::context::Context;

/// Inputs fetched at a time.
const INPUTS: u32 = 2;
/// The least time between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks whenever the last free slot was taken.
pub(crate) async fn run(ctx: Arc<Context>) -> Infallible {
    let Some(cache) = &ctx.cache else {
        return pending().await;
    };
    loop {
        ctx.claimed.notified().await;
        if ctx.leases.count() < ctx.settings.slots as usize {
            continue;
        }
        let next = ctx
            .store
            .inputs_next(ctx.worker, &ctx.settings.models, INPUTS);
        match next.await {
            Ok(inputs) => {
                for input in &inputs {
                    if let Err(error) = fetch(&ctx, cache, input).await {
                        // It is fetched after the claim.
                        tracing::debug!(key = input.key, %error, "not fetched ahead");
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "no look ahead"),
        }
        sleep(PAUSE).await;
    }
}

async fn fetch(ctx: &Context, cache: &Cache, input: &BlobRef) -> Result<(), Error> {
    let key: Key = input.key.parse()?;
    let fetched = cache.fetch(&ctx.blobs, &key, &input.digest, input.bytes);
    fetched.await.map(drop)
}
