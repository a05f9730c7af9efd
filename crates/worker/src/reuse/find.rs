//! Before an edit: what earlier ones computed of its picture.

use bytes::Bytes;
use futures_util::future::join_all;
use limekiln_blobs::{Error, Key as BlobKey};
use limekiln_jobs::{Digest, ErrorKind, Retryable, Reuse};
use limekiln_lime::Known;
use limekiln_lime::known::{Key, Kind};
use limekiln_store::{Claimed, Intermediate};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{BLOB_BYTES_MAX, PATIENCE, Reusing, wanted};
use crate::context::Context;
use crate::metrics;
use crate::prepared::Asked;

/// Something that was found.
struct Found {
    kind: Kind,
    key: Key,
    blob: Bytes,
    place: &'static str,
    /// The edit that computed it, of a region that was found by its object.
    edit: Option<String>,
}

/// Looks up what the edit need not compute. Once its region is known, so is the name of the matte in it.
pub(crate) async fn find(
    ctx: &Context,
    claimed: &Claimed,
    asked: &Asked,
    reusing: &mut Reusing,
) -> Known {
    let wanted = wanted(asked);
    let wanted = wanted.filter_map(|kind| Some((kind, reusing.key(kind)?)));
    let wanted = wanted.collect();
    let mut known = Known::default();
    take(ctx, claimed, wanted, reusing, &mut known).await;
    reusing.matte = reusing
        .unplaced
        .as_ref()
        .and_then(|object| known.key_of(object));
    if let Some(key) = reusing.matte {
        let matte = vec![(Kind::Matte, key)];
        take(ctx, claimed, matte, reusing, &mut known).await;
    }
    known
}

/// Adds what is `wanted` to what is `known`, as far as it is there.
async fn take(
    ctx: &Context,
    claimed: &Claimed,
    wanted: Vec<(Kind, Key)>,
    reusing: &mut Reusing,
    known: &mut Known,
) {
    let tenant = claimed.tenant;
    let (mut found, mut asked) = (Vec::new(), Vec::new());
    // Whose region it is to be, only the index knows: every worker takes the same.
    let object = reusing.object().filter(|_| {
        let region = wanted.iter().any(|(kind, _)| *kind == Kind::Region);
        region && claimed.spec.reuse == Some(Reuse::Object)
    });
    for (kind, key) in wanted {
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
    let blobs: Vec<_> = found.iter().map(|it| (it.kind, it.blob.clone())).collect();
    let mut more = std::mem::take(known);
    // A matte of many megapixels takes a while to be read.
    let read = spawn_blocking(move || {
        let read = blobs.iter().map(|(kind, blob)| more.read(*kind, blob));
        let read: Vec<_> = read.collect();
        (more, read)
    });
    let read = match read.await {
        Ok((more, read)) => {
            *known = more;
            read
        }
        Err(error) => {
            tracing::error!(%error, "what earlier edits computed can't be read, and is computed again");
            Vec::new()
        }
    };
    for (found, read) in found.into_iter().zip(read) {
        let Found {
            kind,
            key,
            blob,
            place,
            edit,
        } = found;
        match read {
            Ok(()) => {
                metrics::reused(kind.name(), place, blob.len());
                reusing.used.push(key);
                ctx.reuse.put(tenant, key, blob);
                asked.retain(|(asked, _)| *asked != kind);
                if let Some(edit) = edit {
                    *known = std::mem::take(known).of_edit(edit);
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
