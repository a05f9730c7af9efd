//! A session's row, locked: its head and its branches stay as they are until the transaction ends.

use limekiln_jobs::session::{Node, Tree};
use limekiln_jobs::{EditId, SessionId, TenantId};
use sqlx::postgres::{PgConnection, PgRow};

use crate::Result;
use crate::row::{get, id, id_opt, whole};

pub(super) struct Locked {
    pub(super) head: Option<EditId>,
    pub(super) version: u64,
    pub(super) row: PgRow,
}

/// Locks the tenant's session of this id, if there is one.
pub(super) async fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    session: SessionId,
) -> Result<Option<Locked>> {
    let lock = "select * from sessions where id = $1 and tenant_id = $2 for no key update";
    let row = sqlx::query(lock)
        .bind(session.uuid())
        .bind(tenant.uuid())
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        Ok(Locked {
            head: id_opt(&row, "head")?,
            version: whole(&row, "version")?,
            row,
        })
    })
    .transpose()
}

/// All turns of a session.
pub(super) async fn tree(conn: &mut PgConnection, session: SessionId) -> Result<Tree> {
    let rows = sqlx::query(include_str!("../sql/session_nodes.sql"))
        .bind(session.uuid())
        .fetch_all(conn)
        .await?;
    let node = |row: &PgRow| {
        Ok(Node {
            id: id(row, "edit_id")?,
            parent: id_opt(row, "parent_id")?,
            visited: whole(row, "visited")?,
            lost: get(row, "lost")?,
        })
    };
    let nodes: Vec<Node> = rows.iter().map(node).collect::<Result<_>>()?;
    Ok(Tree::new(nodes))
}

/// The turn that a branch names, of those there are.
pub(super) async fn branch(
    conn: &mut PgConnection,
    session: SessionId,
    name: &str,
) -> Result<Option<Option<EditId>>> {
    let named = "select edit_id from session_branches where session_id = $1 and name = $2";
    let row = sqlx::query(named)
        .bind(session.uuid())
        .bind(name)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(|row| id_opt(row, "edit_id")).transpose()
}
