//! Results, and accounts.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use limekiln_blobs::Key;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::rows::Edit;
use crate::services::Namespace;

/// That every edit that succeeded refers to one result, of its last epoch, that is there; and no other edit to any.
pub(super) async fn results(
    namespace: &Namespace,
    round: &str,
    edits: &HashMap<Uuid, Edit>,
) -> Result<()> {
    let rows = sqlx::query(
        "select a.edit_id, a.kind, a.blob_key, a.digest, a.bytes from artifacts a join edits e on e.id = a.edit_id
         where starts_with(e.idempotency_key, $1)",
    )
    .bind(round)
    .fetch_all(&namespace.postgres)
    .await?;
    let mut results = HashMap::<Uuid, usize>::new();
    let mut blobs = Vec::new();
    for row in &rows {
        let (edit, kind): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
        let (key, digest, bytes): (String, Vec<u8>, i64) =
            (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        let of = edits.get(&edit).context("an artifact of no edit")?;
        ensure!(
            of.state == "succeeded",
            "edit {edit} {} and has a {kind}",
            of.state
        );
        ensure!(
            key.contains(&format!("/edits/{edit}/{}/", of.epoch)),
            "edit {edit} succeeded in epoch {} and refers to {key}",
            of.epoch
        );
        if kind == "result" {
            *results.entry(edit).or_default() += 1;
        }
        blobs.push((key, digest, bytes));
    }
    for (edit, of) in edits.iter().filter(|(_, of)| of.state == "succeeded") {
        ensure!(
            results.get(edit) == Some(&1),
            "edit {edit} has {:?} results: {of:?}",
            results.get(edit)
        );
    }
    stream::iter(blobs)
        .map(|(key, digest, bytes)| async move {
            let limit = usize::try_from(bytes)?;
            let parsed: Key = key.parse()?;
            let body = namespace
                .blobs
                .get(&parsed, None, limit.try_into()?)
                .await
                .with_context(|| format!("the blob {key} is referred to"))?;
            ensure!(
                body.len() == limit,
                "{key} has {} bytes, its row says {bytes}",
                body.len()
            );
            ensure!(
                blake3::hash(&body).as_bytes()[..] == digest,
                "{key} has another digest than its row"
            );
            Ok(())
        })
        .buffer_unordered(8)
        .try_collect()
        .await
}

/// That nothing leaked: leases, slots of tenants, usage.
pub(super) async fn accounts(postgres: &PgPool) -> Result<()> {
    let leaked: Vec<String> =
        sqlx::query_scalar("select name || ': ' || in_flight from tenants where in_flight <> 0")
            .fetch_all(postgres)
            .await?;
    ensure!(
        leaked.is_empty(),
        "all edits have ended, and tenants are charged for some: {leaked:?}"
    );
    let (charged, ended): (i64, i64) = sqlx::query_as(
        "select (select coalesce(sum(edits), 0)::bigint from usage),
                (select count(*) from edits where finished_at is not null)",
    )
    .fetch_one(postgres)
    .await?;
    ensure!(
        charged == ended,
        "{ended} edits have ended, and {charged} were charged for"
    );
    Ok(())
}

/// The digest of an edit's result.
///
/// # Errors
///
/// When it has none.
pub async fn result_digest(postgres: &PgPool, edit: Uuid) -> Result<Vec<u8>> {
    sqlx::query_scalar("select digest from artifacts where edit_id = $1 and kind = 'result'")
        .bind(edit)
        .fetch_one(postgres)
        .await
        .with_context(|| format!("the result of {edit}"))
}
