//! A session goes, with all its turns. In steps, each of which leaves a session that is whole, only smaller: whoever dies meanwhile
//! is followed by the client that asks again.

use limekiln_jobs::{EditId, SessionId, TenantId};
use sqlx::postgres::PgRow;

use crate::row::{epoch, get, id, int, whole};
use crate::{Deleted, Ended, Result, Store};

/// Most turns that one statement deletes: more than a session can have, unless it is older than that bound.
const TURNS: u32 = limekiln_jobs::session::TURNS_MAX;

impl Store {
    /// Cancels the turns of a session that have not ended. No webhook tells of it.
    pub async fn session_turns_cancel(
        &self,
        tenant: TenantId,
        session: SessionId,
    ) -> Result<Vec<Ended>> {
        let rows = self
            .rows(
                "session_turns_cancel",
                sqlx::query(include_str!("../sql/session_turns_cancel.sql"))
                    .bind(tenant.uuid())
                    .bind(session.uuid()),
            )
            .await?;
        let ended = |row: &PgRow| {
            Ok(Ended {
                edit: id::<EditId>(row, "id")?,
                epoch: epoch(row, "epoch")?,
                was_running: get(row, "was_running")?,
            })
        };
        rows.iter().map(ended).collect()
    }

    /// Deletes turns of a session, all of which have ended, and lists their blobs; once there are none, the session. `Live`:
    /// there is more to cancel, or to delete. `Missing`: it is gone.
    pub async fn session_delete(&self, tenant: TenantId, session: SessionId) -> Result<Deleted> {
        let statement = || {
            sqlx::query(include_str!("../sql/session_turns_delete.sql"))
                .bind(tenant.uuid())
                .bind(session.uuid())
                .bind(int(TURNS))
        };
        let Some(row) = self
            .deleted_once("session_turns_delete", statement())
            .await?
        else {
            return Ok(Deleted::Live);
        };
        let (found, live): (u64, u64) = (whole(&row, "found")?, whole(&row, "live")?);
        if live > 0 {
            return Ok(Deleted::Live);
        }
        if get(&row, "used")? {
            return Ok(Deleted::InUse);
        }
        if found >= u64::from(TURNS) {
            return Ok(Deleted::Live);
        }
        let delete =
            "with gone as (delete from sessions where id = $2 and tenant_id = $1 returning 1)
            select count(*) as gone from gone";
        let statement = sqlx::query(delete).bind(tenant.uuid()).bind(session.uuid());
        match self.deleted_once("session_delete", statement).await? {
            None => Ok(Deleted::Live),
            Some(row) if whole::<u64>(&row, "gone")? > 0 => Ok(Deleted::Gone),
            Some(_) => Ok(Deleted::Missing),
        }
    }
}
