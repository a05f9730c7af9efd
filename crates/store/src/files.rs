//! Files of OpenAI's API: what they hold lies in parts, each a blob.

use std::time::Duration;

use limekiln_jobs::{BatchId, Digest, FileId, ImageId, TenantId};
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use crate::row::{big, clean, digest, get, id, id_opt, int, whole};
use crate::{Result, Store};

/// The most files of a tenant.
const FILES_MAX: u32 = 10_000;

/// A file of OpenAI's files API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Id of the file.
    pub id: FileId,
    /// What it is for, in OpenAI's words.
    pub purpose: String,
    /// As it was called.
    pub filename: String,
    /// Length in bytes; of what came of a batch about that.
    pub bytes: u64,
    /// The picture that it is.
    pub image: Option<ImageId>,
    /// The batch that it tells of.
    pub batch: Option<BatchId>,
    /// When its upload began.
    pub created_at: OffsetDateTime,
    /// When it goes by itself.
    pub expires_at: Option<OffsetDateTime>,
}

/// What a file is, once all of it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedFile {
    /// What it is for, in OpenAI's words.
    pub purpose: String,
    /// As it was called.
    pub filename: String,
    /// Length in bytes.
    pub bytes: u64,
    /// The picture that it is.
    pub image: Option<ImageId>,
    /// How long it is kept.
    pub keep: Duration,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// Key of its blob.
    pub key: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many there are.
    pub bytes: u64,
}

/// Which files are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileFilter {
    /// Those for this alone.
    pub purpose: Option<String>,
    /// Those that come after this one.
    pub after: Option<FileId>,
    /// The oldest first, not the newest.
    pub oldest_first: bool,
}

impl Store {
    /// Begins a file whose parts come within `within`; `false` where the tenant is gone, or has as many files as it may.
    pub async fn file_begin(&self, tenant: TenantId, id: FileId, within: Duration) -> Result<bool> {
        let statement = sqlx::query(include_str!("sql/file_begin.sql"))
            .bind(tenant.uuid())
            .bind(id.uuid())
            .bind(int(FILES_MAX))
            .bind(within.as_secs_f64());
        Ok(self.row("file_begin", statement).await?.is_some())
    }

    /// Adds the next part, whose blob was put; `false` where the file is not there any more.
    pub async fn file_part_add(&self, file: FileId, number: u32, part: &FilePart) -> Result<bool> {
        let sql = "insert into file_parts (file_id, number, blob_key, digest, bytes)
            select f.id, $2, $3, $4, $5 from files f where f.id = $1 and not f.ready for key share";
        let statement = sqlx::query(sql)
            .bind(file.uuid())
            .bind(int(number))
            .bind(clean(&part.key))
            .bind(part.digest.bytes().as_slice())
            .bind(big(part.bytes));
        Ok(self.count("file_part_add", statement).await? > 0)
    }

    /// All of it came; `None` where the file is not there any more.
    pub async fn file_finish(
        &self,
        tenant: TenantId,
        id: FileId,
        done: &FinishedFile,
    ) -> Result<Option<File>> {
        let statement = sqlx::query(include_str!("sql/file_finish.sql"))
            .bind(tenant.uuid())
            .bind(id.uuid())
            .bind(clean(&done.purpose))
            .bind(clean(&done.filename))
            .bind(big(done.bytes))
            .bind(done.image.map(ImageId::uuid))
            .bind(done.keep.as_secs_f64());
        let row = self.row("file_finish", statement).await?;
        row.as_ref().map(file).transpose()
    }

    /// The tenant's file of this id.
    pub async fn file_get(&self, tenant: TenantId, id: FileId) -> Result<Option<File>> {
        let sql = "select * from files f where f.id = $1 and f.tenant_id = $2 and f.ready
            and (f.expires_at is null or f.expires_at > now())";
        let statement = sqlx::query(sql).bind(id.uuid()).bind(tenant.uuid());
        let row = self.row("file_get", statement).await?;
        row.as_ref().map(file).transpose()
    }

    /// Up to `limit` files.
    pub async fn files_list(
        &self,
        tenant: TenantId,
        filter: &FileFilter,
        limit: u32,
    ) -> Result<Vec<File>> {
        let sql = match filter.oldest_first {
            true => {
                "select * from files f where f.tenant_id = $1 and f.ready and ($2::text is null or f.purpose = $2)
                and ($3::uuid is null or f.id > $3) and (f.expires_at is null or f.expires_at > now())
                order by f.tenant_id, f.id limit $4"
            }
            false => {
                "select * from files f where f.tenant_id = $1 and f.ready and ($2::text is null or f.purpose = $2)
                and ($3::uuid is null or f.id < $3) and (f.expires_at is null or f.expires_at > now())
                order by f.tenant_id desc, f.id desc limit $4"
            }
        };
        let statement = sqlx::query(sql)
            .bind(tenant.uuid())
            .bind(filter.purpose.as_deref().map(clean))
            .bind(filter.after.map(FileId::uuid))
            .bind(int(limit));
        let rows = self.rows("files_list", statement).await?;
        rows.iter().map(file).collect()
    }

    /// What a file holds, in order.
    pub async fn file_parts(&self, id: FileId) -> Result<Vec<FilePart>> {
        let sql = "select p.blob_key, p.digest, p.bytes from file_parts p where p.file_id = $1 order by p.file_id, p.number";
        let rows = self
            .rows("file_parts", sqlx::query(sql).bind(id.uuid()))
            .await?;
        let part = |row: &PgRow| {
            Ok(FilePart {
                key: get(row, "blob_key")?,
                digest: digest(row, "digest")?,
                bytes: whole(row, "bytes")?,
            })
        };
        rows.iter().map(part).collect()
    }

    /// Deletes the file; `false` where there is none.
    pub async fn file_delete(&self, tenant: TenantId, id: FileId) -> Result<bool> {
        let statement = sqlx::query(include_str!("sql/file_delete.sql"))
            .bind(tenant.uuid())
            .bind(id.uuid());
        let row = self.row("file_delete", statement).await?;
        Ok(row.map_or(Ok(0), |row| whole::<u64>(&row, "gone"))? > 0)
    }

    /// Deletes up to `limit` files whose time has come, those that never came whole among them; how many went.
    pub async fn files_expire(&self, limit: u32) -> Result<u64> {
        let statement = sqlx::query(include_str!("sql/files_expire.sql")).bind(int(limit));
        let row = self.row("files_expire", statement).await?;
        row.map_or(Ok(0), |row| whole(&row, "gone"))
    }
}

fn file(row: &PgRow) -> Result<File> {
    Ok(File {
        id: id(row, "id")?,
        purpose: get(row, "purpose")?,
        filename: get(row, "filename")?,
        bytes: whole(row, "bytes")?,
        image: id_opt(row, "image_id")?,
        batch: id_opt(row, "catalog_id")?,
        created_at: get(row, "created_at")?,
        expires_at: get(row, "expires_at")?,
    })
}
