//! Edits that move on as time passes: leases that ran out, retries that are due, turns whose parent ended.

use limekiln_jobs::{EditId, Epoch, StateName, TenantId, WorkerId};

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;

use crate::row::{epoch, id, id_opt, int, name, whole};
use crate::{Result, Store};

/// An edit that was moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The edit that was moved.
    pub edit: EditId,
    /// The tenant whose edit it is.
    pub tenant: TenantId,
    /// The epoch of its newest lease.
    pub epoch: Epoch,
    /// The state it is in now.
    pub state: StateName,
    /// Number of its newest event.
    pub seq: u64,
    /// The worker that lost the lease, when one did.
    pub worker: Option<WorkerId>,
}

impl Store {
    /// Takes leases that have expired: queued again, or failed as poison.
    pub async fn edits_reap(&self, limit: u32) -> Result<Vec<Moved>> {
        self.moved(
            "edits_reap",
            sqlx::query(include_str!("sql/edits_reap.sql")),
            limit,
        )
        .await
    }

    /// Queues failed attempts whose retry time has come.
    pub async fn edits_retry_due(&self, limit: u32) -> Result<Vec<Moved>> {
        self.moved(
            "edits_retry_due",
            sqlx::query(include_str!("sql/edits_retry_due.sql")),
            limit,
        )
        .await
    }

    /// Queues turns whose parent succeeded, fails those whose parent ended otherwise.
    pub async fn turns_unblock(&self, limit: u32) -> Result<Vec<Moved>> {
        self.moved(
            "turns_unblock",
            sqlx::query(include_str!("sql/turns_unblock.sql")),
            limit,
        )
        .await
    }

    async fn moved(
        &self,
        name: &'static str,
        statement: Query<'_, Postgres, PgArguments>,
        limit: u32,
    ) -> Result<Vec<Moved>> {
        let rows = self.rows(name, statement.bind(int(limit))).await?;
        rows.iter().map(moved).collect()
    }
}

fn moved(row: &PgRow) -> Result<Moved> {
    Ok(Moved {
        edit: id(row, "id")?,
        tenant: id(row, "tenant_id")?,
        epoch: epoch(row, "epoch")?,
        state: name(row, "state")?,
        seq: whole(row, "seq")?,
        worker: id_opt(row, "worker_id")?,
    })
}
