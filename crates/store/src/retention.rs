//! What may be forgotten. Never what an unfinished edit or a live session needs.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use time::OffsetDateTime;

use crate::conn::{deadline, observe};
use crate::row::{get, int, whole};
use crate::{Result, Store};

/// What a look at old rows came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Rows that were deleted.
    pub count: u64,
    /// From where the next look goes on. None: all were looked at.
    pub next: Option<OffsetDateTime>,
}

impl Store {
    /// Takes the turn to prune, unless a coordinator took one less than `pause` ago; whether it did.
    pub async fn prune_begin(&self, pause: Duration) -> Result<bool> {
        let taken = self
            .count(
                "prune_begin",
                sqlx::query(
                    "update fleet set pruned_at = now()
                    where pruned_at is null or pruned_at <= now() - make_interval(secs => $1) or pruned_at > now()",
                )
                .bind(pause.as_secs_f64()),
            )
            .await?;
        Ok(taken > 0)
    }

    /// Drops the events of months that ended longer than `age` ago, where all edits of the month have ended, and makes room for
    /// the months to come; returns the parts that were dropped. An edit's last event outlives them: it is in the edit's row.
    pub async fn events_months(&self, age: Duration) -> Result<Vec<String>> {
        let dropped = self
            .value(
                "events_months",
                sqlx::query_scalar("select events_months($1)").bind(age.as_secs_f64()),
            )
            .await?;
        if self.is_single() {
            self.vacuum().await?;
        }
        Ok(dropped)
    }

    /// Looks at up to `limit` edits that ended longer than `age` ago, from those on that ended after `after`, and deletes them
    /// with their events and artifacts, and lists their blobs for deletion. An edit that others build on goes with those, and one
    /// of a session that was used within `sessions` stays; `None` keeps what is in sessions for ever.
    pub async fn edits_prune(
        &self,
        age: Duration,
        sessions: Option<Duration>,
        after: Option<OffsetDateTime>,
        limit: u32,
    ) -> Result<Pruned> {
        let statement = sqlx::query(include_str!("sql/edits_prune.sql"))
            .bind(age.as_secs_f64())
            .bind(sessions.map(|sessions| sessions.as_secs_f64()));
        self.looked("edits_prune", statement, after, limit).await
    }

    /// The same for sessions that were not used within `age` and have no edits.
    pub async fn sessions_prune(
        &self,
        age: Duration,
        after: Option<OffsetDateTime>,
        limit: u32,
    ) -> Result<Pruned> {
        let statement = sqlx::query(include_str!("sql/sessions_prune.sql")).bind(age.as_secs_f64());
        self.looked("sessions_prune", statement, after, limit).await
    }

    /// The same for images that were not uploaded or used within `age` and that no edit refers to; lists their blobs for
    /// deletion.
    pub async fn images_expire(
        &self,
        age: Duration,
        after: Option<OffsetDateTime>,
        limit: u32,
    ) -> Result<Pruned> {
        let statement = sqlx::query(include_str!("sql/images_expire.sql")).bind(age.as_secs_f64());
        self.looked("images_expire", statement, after, limit).await
    }

    /// Deletes up to `limit` entries older than `age` of the order of sessions' events; returns how many.
    pub async fn session_events_prune(&self, age: Duration, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/session_events_prune.sql");
        self.pruned("session_events_prune", sql, age, limit).await
    }

    /// Drops checkpoints of up to `limit` ended edits, and lists their blobs for deletion; returns how many.
    pub async fn checkpoints_expire(&self, age: Duration, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/checkpoints_expire.sql");
        self.pruned("checkpoints_expire", sql, age, limit).await
    }

    /// Deletes delivered and given up webhooks older than `age`.
    pub async fn webhooks_prune(&self, age: Duration, limit: u32) -> Result<u64> {
        self.pruned(
            "webhooks_prune",
            include_str!("sql/webhooks_prune.sql"),
            age,
            limit,
        )
        .await
    }

    /// Deletes workers not heard of for `age`.
    pub async fn workers_prune(&self, age: Duration) -> Result<u64> {
        self.count(
            "workers_prune",
            sqlx::query("delete from workers where seen_at < now() - greatest(3 * ttl, make_interval(secs => $1))")
                .bind(age.as_secs_f64()),
        )
        .await
    }

    /// Those of `keys` that no row refers to, and that are not listed for deletion.
    pub async fn blobs_unreferenced(&self, keys: &[String]) -> Result<Vec<String>> {
        let rows = self
            .rows(
                "blobs_unreferenced",
                sqlx::query(include_str!("sql/blobs_unreferenced.sql")).bind(keys),
            )
            .await?;
        rows.iter().map(|row| get(row, "key")).collect()
    }

    /// The embedded database has no processes besides the one that serves, so nobody else would.
    async fn vacuum(&self) -> Result<()> {
        let mut conn = self.conn().await?;
        for table in [
            "edits",
            "edit_events",
            "artifacts",
            "intermediates",
            "tenants",
            "usage",
            "webhooks",
            "workers",
            "sessions",
            "turns",
            "session_events",
            "images",
            "blob_deletions",
            "sweep_candidates",
            "lines",
            "line_changes",
        ] {
            let begun = Instant::now();
            deadline(
                sqlx::raw_sql(AssertSqlSafe(["vacuum (analyze) ", table].concat()))
                    .execute(conn.get()),
            )
            .await?;
            observe("vacuum", begun);
        }
        conn.done();
        Ok(())
    }

    async fn looked(
        &self,
        name: &'static str,
        statement: Query<'_, Postgres, PgArguments>,
        after: Option<OffsetDateTime>,
        limit: u32,
    ) -> Result<Pruned> {
        let statement = statement
            .bind(after.unwrap_or(OffsetDateTime::UNIX_EPOCH))
            .bind(int(limit));
        let Some(row) = self.row(name, statement).await? else {
            return Ok(Pruned {
                count: 0,
                next: None,
            });
        };
        let all = whole::<u64>(&row, "looked")? < u64::from(limit);
        Ok(Pruned {
            count: whole(&row, "pruned")?,
            next: get::<Option<OffsetDateTime>>(&row, "last")?.filter(|_| !all),
        })
    }

    pub(crate) async fn pruned(
        &self,
        name: &'static str,
        sql: &'static str,
        age: Duration,
        limit: u32,
    ) -> Result<u64> {
        let row = self
            .row(
                name,
                sqlx::query(sql).bind(age.as_secs_f64()).bind(int(limit)),
            )
            .await?;
        row.map_or(Ok(0), |row| whole(&row, "pruned"))
    }
}
