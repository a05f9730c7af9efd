//! Bulk that gives its slot to interactive edits.

use std::time::Duration;

use limekiln_jobs::{EditId, Epoch};
use sqlx::Connection;

use crate::conn::deadline;
use crate::row::{get, id_opt, small_opt};
use crate::{Result, Store};

/// One coordinator looks at a time, and sees whom the one before it asked.
const BEGIN: &str = "begin; select pg_advisory_xact_lock(7308332002)";

/// What a look at the interactive edits that wait has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asides {
    /// Whether any waits.
    pub waiting: bool,
    /// Edits that are to step aside from now on, each with the epoch that it runs under.
    pub asked: Vec<(EditId, Epoch)>,
    /// Those that were to before, and have not.
    pub pending: Vec<(EditId, Epoch)>,
}

impl Store {
    /// Asks as many running bulk edits to step aside as interactive edits wait longer than `patience` for want of a slot. Each
    /// edit is asked `most` times in its life. Nothing but a note in their rows tells of it: who may have heard is told
    /// through the broker, and an edit that has not stepped aside is none the worse.
    pub async fn edits_step_aside(&self, patience: Duration, most: u16) -> Result<Asides> {
        let mut conn = self.conn().await?;
        let rows = deadline(async {
            let mut tx = conn.get().begin_with(BEGIN).await?;
            let rows = sqlx::query(include_str!("sql/edits_step_aside.sql"))
                .bind(patience.as_secs_f64())
                .bind(i32::from(most))
                .fetch_all(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(rows)
        })
        .await?;
        conn.done_with("edits_step_aside");
        let mut asides = Asides::default();
        for row in &rows {
            asides.waiting = true;
            let (edit, epoch): (Option<EditId>, Option<u32>) =
                (id_opt(row, "id")?, small_opt(row, "epoch")?);
            let (Some(edit), Some(epoch)) = (edit, epoch) else {
                continue;
            };
            let run = (edit, Epoch::new(epoch));
            match get(row, "first")? {
                true => asides.asked.push(run),
                false => asides.pending.push(run),
            }
        }
        Ok(asides)
    }
}
