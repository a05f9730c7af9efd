//! How much there is to do.

use limekiln_jobs::Needs;
use limekiln_jobs::api::QueueCount;

use crate::row::{get, json, name, readable, whole, word};
use crate::{Result, Store};

impl Store {
    /// Counts by model and class; models with nothing to do are left out.
    pub async fn queue_counts(&self) -> Result<Vec<QueueCount>> {
        let rows = self
            .rows(
                "queue_counts",
                sqlx::query(include_str!("sql/queue_counts.sql")),
            )
            .await?;
        Ok(readable("queues", &rows, |row| {
            let unable_needs: Vec<Needs> = json(get(row, "unable_needs")?, "unable_needs")?;
            Ok(QueueCount {
                model: name(row, "model")?,
                class: word(row, "class")?,
                waiting: whole(row, "waiting")?,
                queued: whole(row, "queued")?,
                announced: whole(row, "announced")?,
                running: whole(row, "running")?,
                unable: whole(row, "unable")?,
                unable_needs: unable_needs.into_iter().flatten().collect(),
                oldest_queued_s: get(row, "oldest_queued_s")?,
                lease_overdue_s: get(row, "lease_overdue_s")?,
            })
        }))
    }
}
