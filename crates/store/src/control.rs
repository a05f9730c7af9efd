//! What people decide about edits: cancel, and retry by hand.

use limekiln_jobs::{EditId, Epoch, StateName, TenantId, WorkerId};

use crate::row::{epoch, get, id_opt, whole, word};
use crate::{Result, Store};

/// What became of a cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancel {
    /// Cancelled at once; a running worker is fenced out.
    Cancelled {
        /// Number of its newest event.
        seq: u64,
        /// Who was running it.
        was_running: Option<(WorkerId, Epoch)>,
    },
    /// It had ended.
    AlreadyEnded(StateName),
    /// No such edit of this tenant.
    Missing,
}

/// What became of a retry by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// Under way again, with no attempt charged: queued, or, of a turn whose parent had no result, waiting for it.
    Queued {
        /// Number of its newest event.
        seq: u64,
    },
    /// Only a failed edit can be retried; this is what it is.
    NotFailed(StateName),
    /// No such edit.
    Missing,
}

impl Store {
    /// Cancels an edit that has not ended.
    pub async fn edit_cancel(&self, tenant: TenantId, edit: EditId) -> Result<Cancel> {
        let row = self
            .row(
                "edit_cancel",
                sqlx::query(include_str!("sql/edit_cancel.sql"))
                    .bind(tenant.uuid())
                    .bind(edit.uuid()),
            )
            .await?;
        let Some(row) = row else {
            return Ok(Cancel::Missing);
        };
        let was: StateName = word(&row, "state")?;
        if get::<Option<i64>>(&row, "seq")?.is_none() {
            return Ok(Cancel::AlreadyEnded(was));
        }
        let was_running = match (was, id_opt(&row, "worker_id")?) {
            (StateName::Running, Some(worker)) => Some((worker, epoch(&row, "epoch")?)),
            _ => None,
        };
        Ok(Cancel::Cancelled {
            seq: whole(&row, "seq")?,
            was_running,
        })
    }

    /// Queues a failed edit again, on an operator's word: the tenant's limits do not hold it back, but it counts as in
    /// flight again.
    pub async fn edit_retry(&self, edit: EditId) -> Result<Retried> {
        let row = self
            .row(
                "edit_retry",
                sqlx::query(include_str!("sql/edit_retry.sql")).bind(edit.uuid()),
            )
            .await?;
        let Some(row) = row else {
            return Ok(Retried::Missing);
        };
        if get::<Option<i64>>(&row, "seq")?.is_none() {
            return Ok(Retried::NotFailed(word(&row, "was")?));
        }
        Ok(Retried::Queued {
            seq: whole(&row, "seq")?,
        })
    }
}
