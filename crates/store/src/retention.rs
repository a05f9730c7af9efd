//! What may be forgotten. Never what an unfinished edit or a live session needs.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::conn::{deadline, observe};
use crate::row::{get, int, whole};
use crate::{Result, Store};

impl Store {
    /// Deletes the events, all but the last, of up to `limit` edits that ended longer than `age` ago; returns how many
    /// edits that were.
    pub async fn events_prune(&self, age: Duration, limit: u32) -> Result<u64> {
        let pruned = self
            .pruned(
                "events_prune",
                include_str!("sql/events_prune.sql"),
                age,
                limit,
            )
            .await?;
        if self.is_single() {
            self.vacuum().await?;
        }
        Ok(pruned)
    }

    /// Deletes up to `limit` edits that ended longer than `age` ago, with their events and artifacts, and lists their blobs
    /// for deletion. An edit that others build on goes after those; an edit of a session used within `age` stays.
    pub async fn edits_prune(&self, age: Duration, limit: u32) -> Result<u64> {
        let pruned = self
            .pruned(
                "edits_prune",
                include_str!("sql/edits_prune.sql"),
                age,
                limit,
            )
            .await?;
        self.pruned(
            "sessions_prune",
            include_str!("sql/sessions_prune.sql"),
            age,
            limit,
        )
        .await?;
        Ok(pruned)
    }

    /// Deletes up to `limit` image rows not uploaded or used within `age` that no edit refers to any more, and lists their
    /// blobs for deletion; returns how many.
    pub async fn images_expire(&self, age: Duration, limit: u32) -> Result<u64> {
        let sql = include_str!("sql/images_expire.sql");
        self.pruned("images_expire", sql, age, limit).await
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
            "tenants",
            "usage",
            "webhooks",
            "workers",
            "sessions",
            "images",
            "blob_deletions",
            "sweep_candidates",
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

    async fn pruned(
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
