//! Sessions as clients see them.

use limekiln_jobs::api::{Branch, SessionEvent, SessionPage, SessionTree, SessionView, TurnView};
use limekiln_jobs::{EditEvent, SessionId, TenantId};
use serde_json::Value;
use sqlx::postgres::PgRow;

use super::view;
use crate::row::{big, get, id, id_opt, int, json, readable, whole, word};
use crate::{Result, Store};

/// Most turns that are shown: more than a session can have, unless it is older than that bound.
const TURNS: u32 = limekiln_jobs::session::TURNS_MAX;

impl Store {
    /// The tenant's session of this id.
    pub async fn session_get(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<Option<SessionView>> {
        let row = self
            .row(
                "session_get",
                sqlx::query("select * from sessions where id = $1 and tenant_id = $2")
                    .bind(id.uuid())
                    .bind(tenant.uuid()),
            )
            .await?;
        row.as_ref().map(view).transpose()
    }

    /// The tenant's session of this id with its turns (of an old session with more, the newest 2,000) and branches, as they are
    /// at one moment.
    pub async fn session_tree(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<Option<SessionTree>> {
        let row = self
            .row(
                "session_tree",
                sqlx::query(include_str!("../sql/session_tree.sql"))
                    .bind(id.uuid())
                    .bind(tenant.uuid())
                    .bind(int(TURNS)),
            )
            .await?;
        row.as_ref().map(tree).transpose()
    }

    /// Up to `limit` of the tenant's sessions, older than `after`, newest first.
    pub async fn sessions_list(
        &self,
        tenant: TenantId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<SessionPage> {
        let list = "select * from sessions
            where tenant_id = $1 and id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
            order by tenant_id desc, id desc limit $3";
        let mut rows = self
            .rows(
                "sessions_list",
                sqlx::query(list)
                    .bind(tenant.uuid())
                    .bind(after.map(SessionId::uuid))
                    .bind(int(limit) + 1),
            )
            .await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let last = rows.last().map(|row| id(row, "id")).transpose()?;
        Ok(SessionPage {
            sessions: readable("sessions", &rows, view),
            next: last.filter(|_| more),
        })
    }

    /// Events of a session with a number above `seq`, in order; none in place of those that were forgotten. Whose session it
    /// is, is for the caller to check.
    pub async fn session_events_after(
        &self,
        session: SessionId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Option<SessionEvent>)>> {
        let rows = self
            .rows(
                "session_events_after",
                sqlx::query(include_str!("../sql/session_events_after.sql"))
                    .bind(session.uuid())
                    .bind(big(seq))
                    .bind(int(limit)),
            )
            .await?;
        rows.iter().map(|row| event(session, row)).collect()
    }

    /// Numbers of the newest events of sessions; those that do not exist are left out.
    pub async fn session_events_heads(
        &self,
        sessions: &[SessionId],
    ) -> Result<Vec<(SessionId, u64)>> {
        let sessions: Vec<_> = sessions.iter().map(|session| session.uuid()).collect();
        let rows = self
            .rows(
                "session_events_heads",
                sqlx::query("select id, events from sessions where id = any($1)").bind(sessions),
            )
            .await?;
        rows.iter()
            .map(|row| Ok((id(row, "id")?, whole(row, "events")?)))
            .collect()
    }
}

fn tree(row: &PgRow) -> Result<SessionTree> {
    let tree: Vec<TurnView> = json(get::<Value>(row, "tree")?, "turns")?;
    let branches: Vec<Branch> = json(get::<Value>(row, "branches")?, "branches")?;
    Ok(SessionTree {
        session: view(row)?,
        tree,
        branches,
    })
}

fn event(session: SessionId, row: &PgRow) -> Result<(u64, Option<SessionEvent>)> {
    let seq = whole(row, "seq")?;
    let event = |turn, head| SessionEvent {
        session,
        seq,
        turn,
        head,
    };
    if let Some(head) = get::<Option<Value>>(row, "head")? {
        return Ok((seq, Some(event(None, Some(json(head, "head")?)))));
    }
    if id_opt::<uuid::Uuid>(row, "edit_id")?.is_none() {
        return Ok((seq, None));
    }
    let turn = EditEvent {
        edit: id(row, "edit_id")?,
        session: Some(session),
        seq: whole(row, "edit_seq")?,
        at: get(row, "at")?,
        kind: word(row, "kind")?,
        data: get(row, "data")?,
    };
    Ok((seq, Some(event(Some(turn), None))))
}
