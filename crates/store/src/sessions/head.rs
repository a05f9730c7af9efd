//! Moves of a session's head: undo, redo, and jumps.

use limekiln_jobs::api::SessionView;
use limekiln_jobs::session::{Move, Stuck};
use limekiln_jobs::{EditId, SessionId, TenantId};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::{locked, view};
use crate::conn::DEADLINE;
use crate::row::big;
use crate::{Error, Result, Store};

/// Where a head is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadTo {
    /// By a move.
    Move(Move),
    /// To the turn that a branch names.
    Branch(String),
}

/// What became of a move.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadWrite {
    /// The session as it is now.
    Moved(Box<SessionView>),
    /// No such session of this tenant.
    Missing,
    /// The session has no such branch.
    NoBranch,
    /// The head has moved since the version that was expected.
    Stale {
        /// The version now.
        version: u64,
    },
    /// It can't go there.
    Stuck(Stuck),
}

impl Store {
    /// Moves the head of a session, if its version is the expected one. A head that is there already counts no move.
    pub async fn session_head(
        &self,
        tenant: TenantId,
        session: SessionId,
        to: &HeadTo,
        expected: Option<u64>,
    ) -> Result<HeadWrite> {
        let mut conn = self.conn().await?;
        let moving = head(conn.get(), tenant, session, to, expected);
        let Ok(written) = timeout(DEADLINE, moving).await else {
            let after_s = DEADLINE.as_secs();
            return Err(Error::Timeout { after_s });
        };
        let written = written?;
        conn.done_with("session_head");
        Ok(written)
    }
}

async fn head(
    conn: &mut PgConnection,
    tenant: TenantId,
    session: SessionId,
    to: &HeadTo,
    expected: Option<u64>,
) -> Result<HeadWrite> {
    let mut tx = conn.begin().await?;
    let Some(found) = locked::lock(&mut tx, tenant, session).await? else {
        tx.rollback().await?;
        return Ok(HeadWrite::Missing);
    };
    let version = found.version;
    if expected.is_some_and(|expected| expected != version) {
        tx.rollback().await?;
        return Ok(HeadWrite::Stale { version });
    }
    let to = match to {
        HeadTo::Move(to) => *to,
        HeadTo::Branch(name) => match locked::branch(&mut tx, session, name).await? {
            Some(turn) => Move::To(turn),
            None => {
                tx.rollback().await?;
                return Ok(HeadWrite::NoBranch);
            }
        },
    };
    let tree = locked::tree(&mut tx, session).await?;
    let written = match tree.moved(found.head, to) {
        Err(stuck) => HeadWrite::Stuck(stuck),
        Ok(head) if head == found.head => HeadWrite::Moved(view(&found.row)?.into()),
        Ok(head) => {
            let row = sqlx::query(include_str!("../sql/session_head.sql"))
                .bind(session.uuid())
                .bind(head.map(EditId::uuid))
                .bind(big(version + 1))
                .fetch_one(&mut *tx)
                .await?;
            let moved = HeadWrite::Moved(view(&row)?.into());
            tx.commit().await?;
            return Ok(moved);
        }
    };
    tx.rollback().await?;
    Ok(written)
}
