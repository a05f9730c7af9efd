//! The index of what edits computed of pictures on their way, kept for further edits of them. Its blobs are listed for deletion by a
//! trigger, however a row goes (`migrations/0025_intermediates.sql`).

use std::time::Duration;

use limekiln_jobs::{Digest, EditId, TenantId};
use sqlx::postgres::PgRow;

use crate::row::{big, digest, get, id, int, whole};
use crate::{Result, Store};

/// One that is to be kept; its blob is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIntermediate {
    /// Digest of all that determines it.
    pub key: Digest,
    /// What it is, a word of the engine's.
    pub kind: &'static str,
    /// Of a region, digest of what names its object.
    pub object: Option<Digest>,
    /// Key of the blob.
    pub blob_key: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Length in bytes.
    pub bytes: u64,
}

/// One that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intermediate {
    /// Digest of all that determines it.
    pub key: Digest,
    /// Its kind, by the engine's name for it: `latents`, `segments`, `region` and so on.
    pub kind: String,
    /// The edit that computed it.
    pub edit: EditId,
    /// Key of the blob.
    pub blob_key: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// Whether it was found by its object.
    pub of_object: bool,
}

impl Store {
    /// Those of the tenant with these keys; and of the regions of `object` the one that was made first.
    pub async fn intermediates_find(
        &self,
        tenant: TenantId,
        keys: &[Digest],
        object: Option<&Digest>,
    ) -> Result<Vec<Intermediate>> {
        let rows = self
            .rows(
                "intermediates_find",
                sqlx::query(include_str!("sql/intermediates_find.sql"))
                    .bind(tenant.uuid())
                    .bind(bytes(keys))
                    .bind(object.map(|object| object.bytes().to_vec())),
            )
            .await?;
        let found = |row: &PgRow| {
            Ok(Intermediate {
                key: digest(row, "key")?,
                kind: get(row, "kind")?,
                edit: id(row, "edit_id")?,
                blob_key: get(row, "blob_key")?,
                digest: digest(row, "digest")?,
                bytes: whole(row, "bytes")?,
                of_object: get(row, "of_object")?,
            })
        };
        rows.iter().map(found).collect()
    }

    /// Keeps what `edit` computed of the picture with the content `source`; the blobs of those that are referred to from now on. Of
    /// several that make the same, the first is kept, and of an edit that is gone nothing.
    pub async fn intermediates_keep(
        &self,
        (tenant, edit): (TenantId, EditId),
        source: &Digest,
        new: &[NewIntermediate],
    ) -> Result<Vec<String>> {
        let column = |of: fn(&NewIntermediate) -> &Digest| -> Vec<Vec<u8>> {
            new.iter().map(|one| of(one).bytes().to_vec()).collect()
        };
        let objects = new
            .iter()
            .map(|one| one.object.map(|object| object.bytes().to_vec()));
        let rows = self
            .rows(
                "intermediates_keep",
                sqlx::query(include_str!("sql/intermediates_keep.sql"))
                    .bind(edit.uuid())
                    .bind(tenant.uuid())
                    .bind(source.bytes().to_vec())
                    .bind(column(|one| &one.key))
                    .bind(new.iter().map(|one| one.kind).collect::<Vec<_>>())
                    .bind(objects.collect::<Vec<_>>())
                    .bind(
                        new.iter()
                            .map(|one| one.blob_key.clone())
                            .collect::<Vec<_>>(),
                    )
                    .bind(column(|one| &one.digest))
                    .bind(new.iter().map(|one| big(one.bytes)).collect::<Vec<_>>()),
            )
            .await?;
        rows.iter().map(|row| get(row, "blob_key")).collect()
    }

    /// Says that these were used.
    pub async fn intermediates_used(&self, tenant: TenantId, keys: &[Digest]) -> Result<()> {
        self.count(
            "intermediates_used",
            sqlx::query(include_str!("sql/intermediates_used.sql"))
                .bind(tenant.uuid())
                .bind(bytes(keys)),
        )
        .await
        .map(drop)
    }

    /// Forgets one whose blob is missing or damaged, unless another was kept in its place meanwhile.
    pub async fn intermediate_forget(&self, tenant: TenantId, lost: &Intermediate) -> Result<()> {
        self.count(
            "intermediate_forget",
            sqlx::query(
                "delete from intermediates where tenant_id = $1 and key = $2 and blob_key = $3",
            )
            .bind(tenant.uuid())
            .bind(lost.key.bytes().to_vec())
            .bind(&lost.blob_key),
        )
        .await
        .map(drop)
    }

    /// Of each tenant that keeps more than `quota` bytes, forgets what was not used for longest; and what nobody used for `unused`. At
    /// most `limit`; how many.
    pub async fn intermediates_evict(
        &self,
        quota: u64,
        unused: Option<Duration>,
        limit: u32,
    ) -> Result<u64> {
        let row = self
            .row(
                "intermediates_evict",
                sqlx::query(include_str!("sql/intermediates_evict.sql"))
                    .bind(big(quota))
                    .bind(unused.map(|unused| unused.as_secs_f64()))
                    .bind(int(limit)),
            )
            .await?;
        row.map_or(Ok(0), |row| whole(&row, "pruned"))
    }

    /// How many bytes are kept, of all tenants.
    pub async fn intermediates_bytes(&self) -> Result<u64> {
        let bytes: i64 = self
            .value(
                "intermediates_bytes",
                sqlx::query_scalar("select coalesce(sum(bytes), 0)::bigint from intermediates"),
            )
            .await?;
        Ok(bytes.unsigned_abs())
    }
}

fn bytes(keys: &[Digest]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.bytes().to_vec()).collect()
}
