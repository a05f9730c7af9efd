//! Erasing a tenant: an operator's word marks it, and coordinators delete all it has in batches, its row at last. Who dies
//! meanwhile is followed by another, for every step is found in the tables.

use limekiln_jobs::{EditId, Epoch, TenantId};
use sqlx::postgres::PgRow;

use crate::row::{epoch, get, id, int, whole};
use crate::{Result, Store};

/// What a tenant has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantCounts {
    /// Keys that are not revoked.
    pub keys: u64,
    /// Images and masks.
    pub images: u64,
    /// Their length.
    pub image_bytes: u64,
    /// Edits, ended or not.
    pub edits: u64,
    /// Edits that have not ended.
    pub unfinished: u64,
    /// Length of their results.
    pub result_bytes: u64,
    /// Sessions.
    pub sessions: u64,
}

/// An edit that was cancelled because its tenant is being erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The edit.
    pub edit: EditId,
    /// Its claims so far.
    pub epoch: Epoch,
    /// Whether a worker was at it.
    pub was_running: bool,
}

impl Store {
    /// What the tenant has. Reads all of it.
    pub async fn tenant_counts(&self, tenant: TenantId) -> Result<TenantCounts> {
        let row = self
            .row(
                "tenant_counts",
                sqlx::query(include_str!("sql/tenant_counts.sql")).bind(tenant.uuid()),
            )
            .await?;
        row.as_ref()
            .map_or_else(|| Ok(TenantCounts::default()), counts)
    }

    /// Begins to erase the tenant: revokes its keys and takes no more edits. `false` when there is no such tenant; again is
    /// no error. There is no way back.
    pub async fn tenant_erase(&self, tenant: TenantId) -> Result<bool> {
        let row = self
            .row(
                "tenant_erase",
                sqlx::query(include_str!("sql/tenant_erase.sql")).bind(tenant.uuid()),
            )
            .await?;
        Ok(row.map_or(Ok(0), |row| whole::<u64>(&row, "begun"))? > 0)
    }

    /// Up to `limit` tenants that are being erased, the longest first.
    pub async fn tenants_erasing(&self, limit: u32) -> Result<Vec<TenantId>> {
        let erasing =
            "select id from tenants where erasing_at is not null order by erasing_at limit $1";
        let rows = self
            .rows("tenants_erasing", sqlx::query(erasing).bind(int(limit)))
            .await?;
        rows.iter().map(|row| id(row, "id")).collect()
    }

    /// Cancels up to `limit` edits of the tenant that have not ended. No webhook tells of it.
    pub async fn tenant_edits_cancel(&self, tenant: TenantId, limit: u32) -> Result<Vec<Ended>> {
        let rows = self
            .rows(
                "tenant_edits_cancel",
                sqlx::query(include_str!("sql/tenant_edits_cancel.sql"))
                    .bind(tenant.uuid())
                    .bind(int(limit)),
            )
            .await?;
        let ended = |row: &PgRow| {
            Ok(Ended {
                edit: id(row, "id")?,
                epoch: epoch(row, "epoch")?,
                was_running: get(row, "was_running")?,
            })
        };
        rows.iter().map(ended).collect()
    }

    /// Deletes up to `limit` of the tenant's edits that ended, turns before what they build on; how many went.
    pub async fn tenant_edits_delete(&self, tenant: TenantId, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/tenant_edits_delete.sql");
        self.tenant_rows_delete("tenant_edits_delete", sql, tenant, limit)
            .await
    }

    /// Deletes up to `limit` of the tenant's images; how many went.
    pub async fn tenant_images_delete(&self, tenant: TenantId, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/tenant_images_delete.sql");
        self.tenant_rows_delete("tenant_images_delete", sql, tenant, limit)
            .await
    }

    /// Deletes up to `limit` of the tenant's sessions; how many went.
    pub async fn tenant_sessions_delete(&self, tenant: TenantId, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/tenant_sessions_delete.sql");
        self.tenant_rows_delete("tenant_sessions_delete", sql, tenant, limit)
            .await
    }

    /// Deletes up to `limit` of the tenant's files; how many went.
    pub async fn tenant_files_delete(&self, tenant: TenantId, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/tenant_files_delete.sql");
        self.tenant_rows_delete("tenant_files_delete", sql, tenant, limit)
            .await
    }

    /// Deletes up to `limit` rows of the tenant's catalogs; how many went.
    pub async fn tenant_catalog_rows_delete(&self, tenant: TenantId, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/tenant_catalog_rows_delete.sql");
        self.tenant_rows_delete("tenant_catalog_rows_delete", sql, tenant, limit)
            .await
    }

    /// Deletes up to `limit` of the tenant's batches; how many went.
    pub async fn tenant_batches_delete(&self, tenant: TenantId, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/tenant_batches_delete.sql");
        self.tenant_rows_delete("tenant_batches_delete", sql, tenant, limit)
            .await
    }

    /// Deletes the tenant that is being erased and has no edits, images, sessions and batches any more; its usage is added to
    /// `usage_erased`, which knows no tenants, and its blobs are due. `false` when it is gone already.
    ///
    /// # Errors
    /// A transient one when something came in meanwhile.
    pub async fn tenant_erase_finish(&self, tenant: TenantId) -> Result<bool> {
        let row = self
            .row(
                "tenant_erase_finish",
                sqlx::query(include_str!("sql/tenant_erase_finish.sql")).bind(tenant.uuid()),
            )
            .await?;
        Ok(row.map_or(Ok(0), |row| whole::<u64>(&row, "gone"))? > 0)
    }

    async fn tenant_rows_delete(
        &self,
        name: &'static str,
        sql: &'static str,
        tenant: TenantId,
        limit: u32,
    ) -> Result<u64> {
        let statement = sqlx::query(sql).bind(tenant.uuid()).bind(int(limit));
        let row = self.row(name, statement).await?;
        row.map_or(Ok(0), |row| whole(&row, "gone"))
    }
}

fn counts(row: &PgRow) -> Result<TenantCounts> {
    Ok(TenantCounts {
        keys: whole(row, "keys")?,
        images: whole(row, "images")?,
        image_bytes: whole(row, "image_bytes")?,
        edits: whole(row, "edits")?,
        unfinished: whole(row, "unfinished")?,
        result_bytes: whole(row, "result_bytes")?,
        sessions: whole(row, "sessions")?,
    })
}
