//! Which queued edits are announced next.

use std::time::Duration;

use limekiln_jobs::{Class, EditId, ModelName, TenantId, WorkerId};

use sqlx::Connection;
use sqlx::postgres::PgRow;

use crate::claim::input;
use crate::conn::deadline;
use crate::row::{big, get, id, id_opt, int, name, readable, small, whole, word};
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
    /// Whether it goes with the interactive edits, whatever its class: it has waited for long.
    pub ahead: bool,
    /// The cohort of workers that it is announced to; all of the model without one.
    pub cohort: Option<String>,
    /// The worker that it is offered to before it is announced to all: it has at hand what the edit's parent left.
    pub warm: Option<WorkerId>,
    /// `traceparent` of the request.
    pub trace: Option<String>,
    /// How often it was announced since it was queued, from 1.
    pub announcement: u32,
}

/// A queue with messages of edits that nobody has claimed for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The model of its edits.
    pub model: ModelName,
    /// The class of the queue.
    pub class: Class,
    /// The cohort that reads it; all workers of the model without one.
    pub cohort: Option<String>,
    /// How many edits that were announced to it nobody has claimed.
    pub unclaimed: u64,
}

impl Store {
    /// Marks up to `limit` queued edits as announced and returns them, in fair order.
    ///
    /// Edits that need what no living worker of their model can do stay in the line.
    ///
    /// Per model and class as many are announced and unclaimed at a time as twice the slots of its living workers, and never
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
        Ok(readable("edits_release", &rows, |row| {
            Ok(Announcement {
                warm: id_opt(row, "worker")?,
                ..announcement(row)?
            })
        }))
    }

    /// Counts the lines anew, in case they are not what the edits say; returns how many were wrong. Reads all that waits and
    /// holds up nobody: what is missing is added to the list of changes, which the next release folds in.
    pub async fn lines_recount(&self) -> Result<u64> {
        let mut conn = self.conn().await?;
        let wrong: i64 = deadline(async {
            let wrong = sqlx::query_scalar("select lines_recount()")
                .fetch_one(conn.get())
                .await?;
            let mut tx = conn.get().begin_with(BEGIN).await?;
            sqlx::query("delete from lines where queued = 0 and waiting = 0 and head is null")
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(wrong)
        })
        .await?;
        conn.done_with("lines_recount");
        Ok(wrong.unsigned_abs())
    }

    /// Those of these edits that were announced and nobody has claimed.
    pub async fn edits_unclaimed(&self, edits: &[EditId]) -> Result<Vec<EditId>> {
        let edits: Vec<_> = edits.iter().map(|edit| edit.uuid()).collect();
        let rows = self
            .rows(
                "edits_unclaimed",
                sqlx::query(include_str!("sql/edits_unclaimed.sql")).bind(edits),
            )
            .await?;
        rows.iter().map(|row| id(row, "id")).collect()
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

    /// The queues that hold, or should hold, the messages of edits which nobody has claimed for a while: 10 s after they were
    /// announced, and later each time, up to 2 min.
    pub async fn edits_overdue(&self) -> Result<Vec<Overdue>> {
        let rows = self
            .rows(
                "edits_overdue",
                sqlx::query(include_str!("sql/edits_overdue.sql")),
            )
            .await?;
        Ok(readable("edits_overdue", &rows, |row| {
            Ok(Overdue {
                model: name(row, "model")?,
                class: word(row, "class")?,
                cohort: get(row, "cohort")?,
                unclaimed: whole(row, "unclaimed")?,
            })
        }))
    }

    /// Up to `limit` overdue edits of that queue are dealt with. Of those so many, as `missing` says, are to be announced again, and returned;
    /// the messages of the others are still in the queue. Those that no living worker can do any more wait in the line again.
    pub async fn edits_announce_again(
        &self,
        overdue: &Overdue,
        missing: u64,
        limit: u32,
    ) -> Result<Vec<Announcement>> {
        let rows = self
            .rows(
                "edits_announce_again",
                sqlx::query(include_str!("sql/edits_announce_again.sql"))
                    .bind(overdue.model.as_str())
                    .bind(overdue.class.as_str())
                    .bind(overdue.cohort.as_deref())
                    .bind(big(missing))
                    .bind(int(limit)),
            )
            .await?;
        Ok(readable("edits_announce_again", &rows, announcement))
    }

    /// Bulk that waits for longer than `wait` goes with the interactive edits, an eighth of a model's slots at a time. Returns
    /// what is to be announced so.
    pub async fn edits_age(&self, wait: Duration, limit: u32) -> Result<Vec<Announcement>> {
        let rows = self
            .rows(
                "edits_age",
                sqlx::query(include_str!("sql/edits_age.sql"))
                    .bind(wait.as_secs_f64())
                    .bind(int(limit)),
            )
            .await?;
        Ok(readable("edits_age", &rows, announcement))
    }

    /// What the edits start from that this worker may get next.
    pub async fn inputs_next(
        &self,
        worker: WorkerId,
        models: &[ModelName],
        limit: u32,
    ) -> Result<Vec<BlobRef>> {
        let models: Vec<_> = models.iter().map(ModelName::as_str).collect();
        let rows = self
            .rows(
                "inputs_next",
                sqlx::query(include_str!("sql/inputs_next.sql"))
                    .bind(worker.uuid())
                    .bind(models)
                    .bind(int(limit)),
            )
            .await?;
        rows.iter().map(input).collect()
    }
}

fn announcement(row: &PgRow) -> Result<Announcement> {
    Ok(Announcement {
        edit: id(row, "id")?,
        tenant: id(row, "tenant_id")?,
        model: name(row, "model")?,
        class: word(row, "class")?,
        ahead: get(row, "ahead")?,
        cohort: get(row, "cohort")?,
        warm: None,
        trace: get(row, "trace")?,
        announcement: small(row, "announcements")?,
    })
}
