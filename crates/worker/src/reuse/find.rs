//! Before an edit: what earlier ones computed of its picture.

use bytes::Bytes;
use futures_util::future::join_all;
use limekiln_blobs::{Error, Key as BlobKey};
use limekiln_jobs::{Digest, ErrorKind, Retryable, Reuse};
use limekiln_lime::known::{Key, Kind};
use limekiln_lime::{Known, Request};
use limekiln_store::{Claimed, Intermediate};
use tokio::time::timeout;

use super::{BLOB_BYTES_MAX, PATIENCE, Reusing, wanted};
use crate::context::Context;
use crate::metrics;

/// Something that was found.
struct Found {
    kind: Kind,
    key: Key,
    blob: Bytes,
    place: &'static str,
    /// The edit that computed it, of a region that was found by its object.
    edit: Option<String>,
}

/// Looks up what `request` need not compute.
pub(crate) async fn find(
    ctx: &Context,
    claimed: &Claimed,
    request: &Request,
    reusing: &mut Reusing,
) -> Known {
    let tenant = claimed.tenant;
    let (mut found, mut asked) = (Vec::new(), Vec::new());
    // Whose region it is to be, only the index knows: every worker takes the same.
    let object = reusing
        .keys
        .object
        .filter(|_| claimed.spec.reuse == Some(Reuse::Object));
    for kind in wanted(request) {
        let Some(key) = reusing.keys.get(kind) else {
            continue;
        };
        match ctx.reuse.get(tenant, &key) {
            Some(blob) if kind != Kind::Region || object.is_none() => found.push(Found {
                kind,
                key,
                blob,
                place: "memory",
                edit: None,
            }),
            _ => asked.push((kind, key)),
        }
    }
    if !asked.is_empty() {
        match timeout(PATIENCE, indexed(ctx, claimed, &asked, object)).await {
            Ok(more) => found.extend(more),
            Err(_) => {
                metrics::reuse_failed("find");
                tracing::warn!(
                    "what earlier edits computed is not found in time, and computed again"
                );
            }
        }
    }
    let mut known = Known::default();
    for Found {
        kind,
        key,
        blob,
        place,
        edit,
    } in found
    {
        match known.read(kind, &blob) {
            Ok(()) => {
                metrics::reused(kind.name(), place, blob.len());
                reusing.used.push(key);
                ctx.reuse.put(tenant, key, blob);
                asked.retain(|(asked, _)| *asked != kind);
                if let Some(edit) = edit {
                    known = known.of_edit(edit);
                }
            }
            Err(error) => {
                tracing::warn!(kind = kind.name(), %error, "computed again");
                ctx.reuse.forget(tenant, &key);
            }
        }
    }
    for (kind, _) in asked {
        metrics::reused(kind.name(), "none", 0);
    }
    known
}

/// Those that the index knows, from disk or S3.
async fn indexed(
    ctx: &Context,
    claimed: &Claimed,
    asked: &[(Kind, Key)],
    object: Option<Key>,
) -> Vec<Found> {
    let keys: Vec<Digest> = asked.iter().map(|(_, key)| Digest::from(*key)).collect();
    let object = object.map(Digest::from);
    let find = ctx
        .store
        .intermediates_find(claimed.tenant, &keys, object.as_ref());
    let mut rows = match find.await {
        Ok(rows) => rows,
        Err(error) => {
            metrics::reuse_failed("find");
            tracing::warn!(%error, "what earlier edits computed is not found, and computed again");
            return Vec::new();
        }
    };
    // The object's first region goes before this edit's own.
    if rows.iter().any(|row| row.of_object) {
        rows.retain(|row| row.of_object || row.kind != Kind::Region.name());
    }
    let fetched = rows.iter().map(|row| fetched(ctx, claimed, row, asked));
    join_all(fetched).await.into_iter().flatten().collect()
}

async fn fetched(
    ctx: &Context,
    claimed: &Claimed,
    row: &Intermediate,
    asked: &[(Kind, Key)],
) -> Option<Found> {
    let kind = Kind::KEPT
        .into_iter()
        .find(|kind| kind.name() == row.kind)?;
    let own = asked.iter().any(|(_, key)| Digest::from(*key) == row.key);
    let key: Key = *row.key.bytes();
    let found = |blob, place| Found {
        kind,
        key,
        blob,
        place,
        edit: (!own).then(|| row.edit.to_string()),
    };
    if let Some(blob) = ctx.reuse.get(claimed.tenant, &key) {
        return Some(found(blob, "memory"));
    }
    match blob(ctx, row).await {
        Ok((blob, place)) => Some(found(blob, place)),
        Err(error) => {
            metrics::reuse_failed("fetch");
            tracing::warn!(kind = row.kind, %error, "computed again");
            let lost = matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::TooLarge
            );
            if lost && let Err(error) = ctx.store.intermediate_forget(claimed.tenant, row).await {
                tracing::debug!(%error, "a lost intermediate stays in the index");
            }
            None
        }
    }
}

/// The blob, and where it was.
async fn blob(ctx: &Context, row: &Intermediate) -> Result<(Bytes, &'static str), Error> {
    let key: BlobKey = row.blob_key.parse()?;
    let limit = row.bytes.min(BLOB_BYTES_MAX);
    if let Some(cache) = &ctx.cache {
        let place = match cache.holds(&row.digest) {
            true => "disk",
            false => "s3",
        };
        match cache.fetch(&ctx.blobs, &key, &row.digest, limit).await {
            // Most likely the cache's disk; S3 may still be well.
            Err(error) if error.kind() == ErrorKind::Internal => {
                tracing::warn!(%key, %error, "the cache is of no use");
            }
            answer => return Ok((answer?, place)),
        }
    }
    let blob = ctx.blobs.get(&key, Some(&row.digest), limit).await?;
    Ok((blob, "s3"))
}
