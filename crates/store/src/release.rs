//! Which queued edits are announced next.

use limekiln_jobs::{Class, Digest, EditId, ModelName, TenantId};

use sqlx::Connection;
use sqlx::postgres::PgRow;

use crate::conn::deadline;
use crate::row::{blob, get, id, int, name, readable, small, word};
use crate::{BlobRef, Result, Store};

/// Coordinators release one after the other: each has to see what the one before it announced, so the lock comes in a
/// statement of its own. Then the lines are brought up to date.
pub(crate) const BEGIN: &str =
    "begin; select pg_advisory_xact_lock(7308332001); select lines_fold()";

/// An edit that is to be announced to the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The edit that is announced.
    pub edit: EditId,
    /// The tenant whose edit it is.
    pub tenant: TenantId,
    /// The model it needs.
    pub model: ModelName,
    /// The class it was submitted in.
    pub class: Class,
    /// The blob it starts from.
    pub input: BlobRef,
    /// `traceparent` of the request.
    pub trace: Option<String>,
    /// How often it was announced since it was queued, from 1.
    pub announcement: u32,
}

impl Store {
    /// Marks up to `limit` queued edits as announced and returns them, in fair order.
    ///
    /// Edits that need what no living worker of their model can do stay in the line.
    ///
    /// Per model as many are announced and unclaimed at a time as twice the slots of its living workers, and never
    /// less than `min_window`. Several coordinators may call this at once; together they never exceed the window.
    pub async fn edits_release(
        &self,
        model: Option<&ModelName>,
        min_window: u32,
        limit: u32,
    ) -> Result<Vec<Announcement>> {
        let mut conn = self.conn().await?;
        let rows = deadline(async {
            let mut tx = conn.get().begin_with(BEGIN).await?;
            let rows = sqlx::query(include_str!("sql/edits_release.sql"))
                .bind(model.map(ModelName::as_str))
                .bind(i64::from(min_window))
                .bind(i64::from(limit))
                .fetch_all(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(rows)
        })
        .await?;
        conn.done_with("edits_release");
        Ok(readable("edits_release", &rows, announcement))
    }

    /// Counts the lines anew, in case they are not what the edits say; returns how many there are. Holds up the release
    /// meanwhile, and reads all that waits: once a day is enough.
    pub async fn lines_recount(&self) -> Result<u64> {
        let mut conn = self.conn().await?;
        let lines: i64 = deadline(async {
            let mut tx = conn.get().begin_with(BEGIN).await?;
            let lines = sqlx::query_scalar("select lines_recount()")
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(lines)
        })
        .await?;
        conn.done_with("lines_recount");
        Ok(lines.unsigned_abs())
    }

    /// Takes announcements back whose publish failed; returns how many were still unclaimed.
    pub async fn edits_unannounce(&self, edits: &[EditId]) -> Result<u64> {
        let mut edits: Vec<_> = edits.iter().map(|edit| edit.uuid()).collect();
        edits.sort_unstable();
        edits.dedup();
        self.count(
            "edits_unannounce",
            sqlx::query(include_str!("sql/edits_unannounce.sql")).bind(edits),
        )
        .await
    }

    /// Edits that were announced and not claimed for a while: 10 s at first, doubling up to 2 min. Those of them that no living
    /// worker can do any more are left out, and wait in the line again.
    pub async fn edits_announce_again(&self, limit: u32) -> Result<Vec<Announcement>> {
        let rows = self
            .rows(
                "edits_announce_again",
                sqlx::query(include_str!("sql/edits_announce_again.sql")).bind(int(limit)),
            )
            .await?;
        Ok(readable("edits_announce_again", &rows, announcement))
    }
}

fn announcement(row: &PgRow) -> Result<Announcement> {
    Ok(Announcement {
        edit: id(row, "id")?,
        tenant: id(row, "tenant_id")?,
        model: name(row, "model")?,
        class: word(row, "class")?,
        input: input(row)?,
        trace: get(row, "trace")?,
        announcement: small(row, "announcements")?,
    })
}

/// What an edit starts from. A parent that left no result (the null editor without blobs) gives an empty key, which no
/// bucket has.
pub(crate) fn input(row: &PgRow) -> Result<BlobRef> {
    let found = blob(
        row,
        [
            "input_key",
            "input_digest",
            "input_bytes",
            "input_media_type",
        ],
    )?;
    Ok(found.unwrap_or_else(|| BlobRef {
        key: String::new(),
        digest: Digest::of(b""),
        bytes: 0,
        media_type: "application/octet-stream".to_owned(),
    }))
}
