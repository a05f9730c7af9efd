//! The fleet's id, and when it was last marked: what the marker in the bucket is compared with.

use limekiln_jobs::{EditId, FleetId};
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use crate::row::{get, id, id_opt};
use crate::{Result, Store};

/// What the database says of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The fleet of this database.
    pub fleet: FleetId,
    /// When it was last marked; no marker of this fleet is newer, unless the database was restored from before.
    pub marked_at: Option<OffsetDateTime>,
    /// The newest edit then, kept even when the edit itself is deleted.
    pub newest_edit: Option<EditId>,
}

impl Store {
    /// The fleet, and its last mark.
    pub async fn mark(&self) -> Result<Mark> {
        let row = self
            .rows(
                "mark",
                sqlx::query("select id, marked_at, newest_edit from fleet"),
            )
            .await?;
        only(&row)
    }

    /// Marks it anew: later than ever before and than `after`, with the newest edit of now.
    pub async fn mark_advance(&self, after: Option<OffsetDateTime>) -> Result<Mark> {
        let row = self
            .rows(
                "mark_advance",
                sqlx::query(
                    "update fleet set
                        marked_at = greatest(
                            clock_timestamp(), marked_at + interval '1 microsecond', $1 + interval '1 microsecond'
                        ),
                        newest_edit = greatest(newest_edit, (select e.id from edits e order by e.id desc limit 1))
                    returning id, marked_at, newest_edit",
                )
                .bind(after),
            )
            .await?;
        only(&row)
    }

    /// An operator says that this database is the truth, though it was restored from before `marker`: from now on it counts
    /// as marked later. What it takes for orphans gets the whole grace once more.
    pub async fn restore_accept(&self, marker: OffsetDateTime) -> Result<Mark> {
        let mark = self.mark_advance(Some(marker)).await?;
        self.count(
            "restore_accept",
            sqlx::query("update sweep_candidates set first_seen_at = now()"),
        )
        .await?;
        Ok(mark)
    }

    /// The fleet of a database that has tables; none of one that has not, or none as new as this.
    pub async fn fleet_if_migrated(&self) -> Result<Option<FleetId>> {
        let there: bool = self
            .value(
                "fleet_if_migrated",
                sqlx::query_scalar(
                    "select exists (
                        select from information_schema.columns
                        where table_schema = current_schema() and table_name = 'fleet' and column_name = 'id'
                    )",
                ),
            )
            .await?;
        Ok(if there {
            Some(self.mark().await?.fleet)
        } else {
            None
        })
    }
}

fn only(rows: &[PgRow]) -> Result<Mark> {
    let row = rows
        .first()
        .ok_or_else(|| crate::row::bad("fleet", "it is gone; there must be one"))?;
    Ok(Mark {
        fleet: id(row, "id")?,
        marked_at: get(row, "marked_at")?,
        newest_edit: id_opt(row, "newest_edit")?,
    })
}
