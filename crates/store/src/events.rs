//! An edit's history.

use limekiln_jobs::{EditEvent, EditId};

use crate::row::{big, get, id, id_opt, int, whole, word};
use crate::{Result, Store};

impl Store {
    /// Events of an edit with a number above `seq`, in order. Whose edit it is, is for the caller to check. Of one that ended
    /// long ago only the last is left.
    pub async fn events_after(&self, edit: EditId, seq: u64, limit: u32) -> Result<Vec<EditEvent>> {
        let rows = self
            .rows(
                "events_after",
                sqlx::query(include_str!("sql/events_after.sql"))
                    .bind(edit.uuid())
                    .bind(big(seq))
                    .bind(int(limit)),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(EditEvent {
                    edit,
                    session: id_opt(row, "session_id")?,
                    seq: whole(row, "seq")?,
                    at: get(row, "at")?,
                    kind: word(row, "kind")?,
                    data: get(row, "data")?,
                })
            })
            .collect()
    }

    /// Numbers of the newest events, and whether the edits have ended; edits that do not exist are left out.
    pub async fn events_heads(&self, edits: &[EditId]) -> Result<Vec<(EditId, u64, bool)>> {
        let edits: Vec<_> = edits.iter().map(|edit| edit.uuid()).collect();
        let rows = self
            .rows(
                "events_heads",
                sqlx::query("select id, seq, finished_at is not null as ended from edits where id = any($1)").bind(edits),
            )
            .await?;
        rows.iter()
            .map(|row| Ok((id(row, "id")?, whole(row, "seq")?, get(row, "ended")?)))
            .collect()
    }
}
