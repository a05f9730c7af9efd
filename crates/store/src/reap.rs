//! Edits that move on as time passes: leases that ran out, retries that are due, turns whose parent ended.

use std::time::Duration;

use limekiln_jobs::{EditId, Epoch, StateName, TenantId, WorkerId};

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;

use crate::row::{epoch, get, id, id_opt, int, readable, whole, word};
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

/// What a reaper's round did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The edits whose leases were taken.
    pub moved: Vec<Moved>,
    /// The shortest lease there is. A look several times in it tells an outage from a pause.
    pub lease: Duration,
    /// An outage ended a moment ago: leases are not taken yet.
    pub holding: bool,
}

impl Store {
    /// Takes leases that have expired: queued again, or failed as poison. Whoever does this again and again should make
    /// [`Store::reaper_round`]s, which know of outages.
    pub async fn edits_reap(&self, limit: u32) -> Result<Vec<Moved>> {
        let (moved, _) = self.reaped(limit, None).await?;
        Ok(moved)
    }

    /// The same for a reaper. An outage of Postgres, in which no lease could be renewed, is noted as a gap between the rounds
    /// of all reapers; leases are then left alone until their workers had the time of a lease to renew them, `lease` for
    /// workers that are not known.
    pub async fn reaper_round(&self, limit: u32, lease: Duration) -> Result<Reaped> {
        let (moved, pulse) = self.reaped(limit, Some(lease)).await?;
        let (lease, holding) = pulse.unwrap_or((lease, false));
        Ok(Reaped {
            moved,
            lease,
            holding,
        })
    }

    async fn reaped(
        &self,
        limit: u32,
        lease: Option<Duration>,
    ) -> Result<(Vec<Moved>, Option<(Duration, bool)>)> {
        let statement = sqlx::query(include_str!("sql/edits_reap.sql"))
            .bind(int(limit))
            .bind(lease.map(|lease| lease.as_secs_f64()));
        let rows = self.rows("edits_reap", statement).await?;
        let mut pulse = None;
        let mut taken = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(ttl_s) = get::<Option<f64>>(&row, "ttl_s")? {
                let lease = Duration::try_from_secs_f64(ttl_s).unwrap_or(Duration::MAX);
                pulse = Some((lease, get(&row, "holding")?));
            }
            if get::<Option<uuid::Uuid>>(&row, "id")?.is_some() {
                taken.push(row);
            }
        }
        Ok((readable("edits_reap", &taken, moved), pulse))
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

    /// Looks at about `limit` waiting turns, those of parents after this one, and queues or fails the ones whose parent has
    /// ended. Whatever ends a parent moves its turns itself, but for those that somebody else is changing at that moment.
    /// Returns the last parent, after which to go on; none when all were looked at.
    pub async fn turns_unblock(
        &self,
        after: Option<EditId>,
        limit: u32,
    ) -> Result<(Vec<Moved>, Option<EditId>)> {
        let statement = sqlx::query(include_str!("sql/turns_unblock.sql"))
            .bind(int(limit))
            .bind(after.map_or(uuid::Uuid::nil(), EditId::uuid));
        let rows = self.rows("turns_unblock", statement).await?;
        let (mut last, mut taken) = (None, Vec::with_capacity(rows.len()));
        for row in rows {
            if whole::<u64>(&row, "looked")? >= u64::from(limit) {
                last = id_opt(&row, "last")?;
            }
            if get::<Option<uuid::Uuid>>(&row, "id")?.is_some() {
                taken.push(row);
            }
        }
        Ok((readable("turns_unblock", &taken, moved), last))
    }

    async fn moved(
        &self,
        name: &'static str,
        statement: Query<'_, Postgres, PgArguments>,
        limit: u32,
    ) -> Result<Vec<Moved>> {
        let rows = self.rows(name, statement.bind(int(limit))).await?;
        Ok(readable(name, &rows, moved))
    }
}

fn moved(row: &PgRow) -> Result<Moved> {
    Ok(Moved {
        edit: id(row, "id")?,
        tenant: id(row, "tenant_id")?,
        epoch: epoch(row, "epoch")?,
        state: word(row, "state")?,
        seq: whole(row, "seq")?,
        worker: id_opt(row, "worker_id")?,
    })
}
