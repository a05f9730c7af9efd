//! How much there is to do.

use limekiln_jobs::{Class, ModelName};

use crate::row::{get, name, whole};
use crate::{Result, Store};

/// Edits of a model and class that have not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueCount {
    /// The model they need.
    pub model: ModelName,
    /// The class they were submitted in.
    pub class: Class,
    /// Waiting for a turn or a retry.
    pub waiting: u64,
    /// Queued and not announced.
    pub queued: u64,
    /// Announced and not claimed.
    pub announced: u64,
    /// Under a lease.
    pub running: u64,
    /// Age of the oldest queued edit, announced or not, in seconds.
    pub oldest_queued_s: f64,
    /// Longest time since a lease expired without being taken, in seconds; 0 when none has.
    pub lease_overdue_s: f64,
}

impl Store {
    /// Counts by model and class; models with nothing to do are left out.
    pub async fn queue_counts(&self) -> Result<Vec<QueueCount>> {
        let rows = self
            .rows(
                "queue_counts",
                sqlx::query(include_str!("sql/queue_counts.sql")),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(QueueCount {
                    model: name(row, "model")?,
                    class: name(row, "class")?,
                    waiting: whole(row, "waiting")?,
                    queued: whole(row, "queued")?,
                    announced: whole(row, "announced")?,
                    running: whole(row, "running")?,
                    oldest_queued_s: get(row, "oldest_queued_s")?,
                    lease_overdue_s: get(row, "lease_overdue_s")?,
                })
            })
            .collect()
    }
}
