//! Names for turns.

use limekiln_jobs::api::Branch;
use limekiln_jobs::session::{BRANCHES_MAX, Move, Stuck};
use limekiln_jobs::{EditId, SessionId, TenantId};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::locked::{self, Locked};
use crate::conn::DEADLINE;
use crate::{Error, Result, Store};

/// What became of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Branched {
    /// The branch as it is now; once deleted, as it was.
    Done(Branch),
    /// No such session of this tenant.
    NoSession,
    /// The session has no such branch.
    NoBranch,
    /// The session has a branch of that name already.
    Exists,
    /// The session has as many branches as it may.
    TooMany,
    /// It can't name that turn.
    Stuck(Stuck),
}

/// What to do with a branch.
enum Change<'a> {
    Create(Option<EditId>),
    Set {
        name: Option<&'a str>,
        turn: Option<EditId>,
    },
    Delete,
}

impl Store {
    /// Names a turn; by default the head.
    pub async fn branch_create(
        &self,
        tenant: TenantId,
        session: SessionId,
        name: &str,
        turn: Option<EditId>,
    ) -> Result<Branched> {
        self.branch("branch_create", tenant, session, name, Change::Create(turn))
            .await
    }

    /// Gives a branch another name, another turn, or both.
    pub async fn branch_change(
        &self,
        tenant: TenantId,
        session: SessionId,
        name: &str,
        to: Option<&str>,
        turn: Option<EditId>,
    ) -> Result<Branched> {
        let change = Change::Set { name: to, turn };
        self.branch("branch_change", tenant, session, name, change)
            .await
    }

    /// Deletes a branch; the turns stay.
    pub async fn branch_delete(
        &self,
        tenant: TenantId,
        session: SessionId,
        name: &str,
    ) -> Result<Branched> {
        self.branch("branch_delete", tenant, session, name, Change::Delete)
            .await
    }

    async fn branch(
        &self,
        statement: &'static str,
        tenant: TenantId,
        session: SessionId,
        name: &str,
        change: Change<'_>,
    ) -> Result<Branched> {
        let mut conn = self.conn().await?;
        let changing = async {
            let mut tx = conn.get().begin().await?;
            let branched = match locked::lock(&mut tx, tenant, session).await? {
                Some(found) => branched(&mut tx, session, &found, name, &change).await?,
                None => Branched::NoSession,
            };
            match branched {
                Branched::Done(_) => tx.commit().await?,
                _ => tx.rollback().await?,
            }
            Ok::<_, Error>(branched)
        };
        let Ok(branched) = timeout(DEADLINE, changing).await else {
            let after_s = DEADLINE.as_secs();
            return Err(Error::Timeout { after_s });
        };
        let branched = branched?;
        conn.done_with(statement);
        Ok(branched)
    }
}

async fn branched(
    conn: &mut PgConnection,
    session: SessionId,
    found: &Locked,
    name: &str,
    change: &Change<'_>,
) -> Result<Branched> {
    let there = locked::branch(conn, session, name).await?;
    let (to, turn) = match (change, there) {
        (Change::Create(_), Some(_)) => return Ok(Branched::Exists),
        (Change::Create(turn), None) => {
            let count = "select count(*) from session_branches where session_id = $1";
            let count: i64 = sqlx::query_scalar(count)
                .bind(session.uuid())
                .fetch_one(&mut *conn)
                .await?;
            if count >= i64::from(BRANCHES_MAX) {
                return Ok(Branched::TooMany);
            }
            (name, turn.or(found.head))
        }
        (_, None) => return Ok(Branched::NoBranch),
        (Change::Delete, Some(turn)) => {
            let delete = "delete from session_branches where session_id = $1 and name = $2";
            sqlx::query(delete)
                .bind(session.uuid())
                .bind(name)
                .execute(conn)
                .await?;
            let name = name.to_owned();
            return Ok(Branched::Done(Branch { name, turn }));
        }
        (Change::Set { name: to, turn }, Some(was)) => (to.unwrap_or(name), turn.or(was)),
    };
    if to != name && locked::branch(conn, session, to).await?.is_some() {
        return Ok(Branched::Exists);
    }
    let tree = locked::tree(conn, session).await?;
    if let Err(stuck) = tree.moved(found.head, Move::To(turn)) {
        return Ok(Branched::Stuck(stuck));
    }
    let write = if there.is_some() {
        "update session_branches set name = $3, edit_id = $4 where session_id = $1 and name = $2"
    } else {
        "insert into session_branches (session_id, name, edit_id)
        select $1, $3, $4 where $2::text is not null"
    };
    sqlx::query(write)
        .bind(session.uuid())
        .bind(name)
        .bind(to)
        .bind(turn.map(EditId::uuid))
        .execute(conn)
        .await?;
    let name = to.to_owned();
    Ok(Branched::Done(Branch { name, turn }))
}
