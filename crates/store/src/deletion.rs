//! Deleting on a client's word: rows go at once, and their blobs are listed in the same transaction, so that they go too,
//! whatever dies meanwhile. `blob_deletions` (`migrations/0008_erase.sql`) is the list.

use std::time::Duration;

use limekiln_jobs::{EditId, ImageId, TenantId};
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use uuid::Uuid;

use crate::row::{get, int, whole};
use crate::{Error, Result, Store};

/// Most edits that one call deletes.
const EDITS: u32 = 1000;
/// Tries of a deletion that a submission ran into.
const TRIES: u32 = 3;

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Gone, and its blobs are listed.
    Gone,
    /// The tenant has no such thing.
    Missing,
    /// Edits among it have not ended; nothing was deleted.
    Live,
    /// Others build on it, or more than 1,000 would have to go with it; nothing was deleted.
    InUse,
}

/// A blob, or all blobs of a prefix, that are due to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobDeletion {
    /// A key, or the start of keys when it ends with a slash.
    pub key: String,
    /// Whether it was deleted before. A key alone is then left: an upload may have it again.
    pub again: bool,
}

impl Store {
    /// Deletes an edit that ended, with its history; with `turns` also those that build on it, all or none.
    pub async fn edit_delete(&self, tenant: TenantId, id: EditId, turns: bool) -> Result<Deleted> {
        self.tree_delete(tenant, Some(id.uuid()), None, turns).await
    }

    /// Deletes an image that no edit names; with `edits` the edits that name it and the turns that build on those before it.
    pub async fn image_delete(
        &self,
        tenant: TenantId,
        id: ImageId,
        edits: bool,
    ) -> Result<Deleted> {
        if edits {
            let before = self
                .tree_delete(tenant, None, Some(id.uuid()), true)
                .await?;
            if matches!(before, Deleted::Live | Deleted::InUse) {
                return Ok(before);
            }
        }
        let statement = || {
            sqlx::query(include_str!("sql/image_delete.sql"))
                .bind(tenant.uuid())
                .bind(id.uuid())
                .bind(edits)
        };
        let row = self.deleting("image_delete", statement).await?;
        match row {
            Answer::Raced => Ok(Deleted::InUse),
            Answer::Row(None) => Ok(Deleted::Missing),
            Answer::Row(Some(row)) if get(&row, "used")? => Ok(Deleted::InUse),
            Answer::Row(Some(_)) => Ok(Deleted::Gone),
        }
    }

    async fn tree_delete(
        &self,
        tenant: TenantId,
        edit: Option<Uuid>,
        image: Option<Uuid>,
        turns: bool,
    ) -> Result<Deleted> {
        let statement = || {
            sqlx::query(include_str!("sql/edits_delete.sql"))
                .bind(tenant.uuid())
                .bind(edit)
                .bind(image)
                .bind(turns)
                .bind(int(EDITS))
        };
        let row = self.deleting("edits_delete", statement).await?;
        let row = match row {
            Answer::Raced => return Ok(Deleted::InUse),
            Answer::Row(None) => return Ok(Deleted::Missing),
            Answer::Row(Some(row)) => row,
        };
        let (found, live): (u64, u64) = (whole(&row, "found")?, whole(&row, "live")?);
        Ok(if found == 0 {
            Deleted::Missing
        } else if live > 0 {
            Deleted::Live
        } else if get(&row, "used")? {
            Deleted::InUse
        } else {
            Deleted::Gone
        })
    }

    /// Again when an edit that refers to the row came in between the look and the deletion, which the next look sees.
    async fn deleting(
        &self,
        name: &'static str,
        statement: impl Fn() -> Query<'static, Postgres, PgArguments>,
    ) -> Result<Answer> {
        for _ in 0..TRIES {
            match self.row(name, statement()).await {
                Err(Error::Database(error)) if is_referenced(&error) => {
                    tracing::debug!(statement = name, %error, "deleting again");
                }
                done => return done.map(Answer::Row),
            }
        }
        Ok(Answer::Raced)
    }

    /// Deletes, unless something refers to it that came in meanwhile: then none.
    pub(crate) async fn deleted_once(
        &self,
        name: &'static str,
        statement: Query<'static, Postgres, PgArguments>,
    ) -> Result<Option<PgRow>> {
        match self.row(name, statement).await {
            Err(Error::Database(error)) if is_referenced(&error) => Ok(None),
            done => done,
        }
    }

    /// Claims up to `limit` deletions that are due. Each is due again after a wait that grows, unless
    /// [`Store::blob_deletions_done`] says that its blobs are gone.
    pub async fn blob_deletions_claim(&self, limit: u32) -> Result<Vec<BlobDeletion>> {
        let rows = self
            .rows(
                "blob_deletions_claim",
                sqlx::query(include_str!("sql/blob_deletions_claim.sql")).bind(int(limit)),
            )
            .await?;
        let deletion = |row: &PgRow| {
            Ok(BlobDeletion {
                key: get(row, "key")?,
                again: get(row, "again")?,
            })
        };
        rows.iter().map(deletion).collect()
    }

    /// Records that the blobs of these deletions are gone.
    pub async fn blob_deletions_done(&self, keys: &[String]) -> Result<()> {
        self.count(
            "blob_deletions_done",
            sqlx::query(include_str!("sql/blob_deletions_done.sql")).bind(keys),
        )
        .await
        .map(drop)
    }

    /// Makes these deletions due at once: they went well so far, and there are more blobs.
    pub async fn blob_deletions_more(&self, keys: &[String]) -> Result<()> {
        let more = "update blob_deletions set due_at = now(), tries = 0 where key = any ($1)";
        self.count("blob_deletions_more", sqlx::query(more).bind(keys))
            .await
            .map(drop)
    }

    /// How long the blobs that were listed first wait to be deleted; none waits: zero.
    pub async fn blob_deletions_age(&self) -> Result<Duration> {
        // Those of a tenant that is being erased are not due before its rows are gone.
        let oldest =
            "select coalesce(extract(epoch from now() - min(d.listed_at)), 0)::double precision
            from blob_deletions d where d.deleted_at is null and d.due_at < 'infinity'";
        let seconds: f64 = self
            .value("blob_deletions_age", sqlx::query_scalar(oldest))
            .await?;
        Ok(Duration::try_from_secs_f64(seconds).unwrap_or_default())
    }

    /// Those of `keys` that a row refers to.
    pub async fn blobs_referenced(&self, keys: &[String]) -> Result<Vec<String>> {
        let rows = self
            .rows(
                "blobs_referenced",
                sqlx::query(include_str!("sql/blobs_referenced.sql")).bind(keys),
            )
            .await?;
        rows.iter().map(|row| get(row, "key")).collect()
    }
}

enum Answer {
    Row(Option<PgRow>),
    /// Edits came in again and again.
    Raced,
}

fn is_referenced(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_foreign_key_violation())
}
