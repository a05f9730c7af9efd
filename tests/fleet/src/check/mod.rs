//! What must hold after any fault.
//!
//! # Layout
//!
//! - `history`: the events of an edit, and what each attempt may have cost
//! - `results`: one result an edit, and accounts that add up

mod history;
mod results;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::load::{Accepted, End};
use crate::services::Place;
use history::{Event, events, walk};
use results::{accounts, results};

pub use history::Attempts;
pub use results::result_digest;

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Edits accepted.
    pub edits: usize,
    /// Of these with a result.
    pub succeeded: usize,
    /// Of these failed, as they were to.
    pub failed: usize,
    /// Of these cancelled.
    pub cancelled: usize,
    /// Claims.
    pub claims: i64,
    /// Claims after the first, of the same edit: rescues and retries.
    pub again: i64,
    /// Attempts charged.
    pub attempts: i64,
    /// Claims that began at a checkpoint.
    pub resumed: usize,
    /// Events.
    pub events: usize,
    /// Streams of events that broke and were taken up again.
    pub streams_again: u32,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.edits += other.edits;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.claims += other.claims;
        self.again += other.again;
        self.attempts += other.attempts;
        self.resumed += other.resumed;
        self.events += other.events;
        self.streams_again += other.streams_again;
    }
}

/// Edits that have not ended.
///
/// # Errors
///
/// When Postgres can't be asked.
pub async fn in_flight(truth: &PgPool) -> Result<i64> {
    Ok(
        sqlx::query_scalar("select count(*) from edits where finished_at is null")
            .fetch_one(truth)
            .await?,
    )
}

/// Waits until every edit has ended.
///
/// # Errors
///
/// Those that have not, when that takes longer than `deadline`.
pub async fn all_ended(truth: &PgPool, deadline: Duration) -> Result<()> {
    let start = Instant::now();
    loop {
        let left = in_flight(truth).await?;
        if left == 0 {
            return Ok(());
        }
        if start.elapsed() > deadline {
            let rows: Vec<String> = sqlx::query_scalar(
                "select to_jsonb(e)::text from (
                    select id, state, epoch, attempts, worker_id, lease_expires_at, announced_at, announcements,
                        next_announce_at, retry_at, checkpoint_step, step, parent_id, error, now() as now
                    from edits where finished_at is null order by id limit 5) e",
            )
            .fetch_all(truth)
            .await?;
            bail!(
                "{left} edits have not ended after {deadline:?}, such as\n{}",
                rows.join("\n")
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Checks all that must hold of `edits`, which have ended, and of the accounts.
///
/// # Errors
///
/// The first thing that does not hold.
pub async fn check(
    place: &Place,
    round: &str,
    edits: &[Accepted],
    attempts: Attempts,
) -> Result<Counts> {
    let truth = &place.truth;
    let rows = rows(truth, round).await?;
    ensure!(
        rows.len() == edits.len(),
        "{} edits are in the table, {} were accepted: an idempotency key made none or two",
        rows.len(),
        edits.len()
    );
    let events = events(truth, round).await?;
    let mut counts = Counts {
        edits: edits.len(),
        ..Counts::default()
    };
    for edit in edits {
        let row = rows
            .get(&edit.id)
            .with_context(|| format!("edit {} was accepted and is not there", edit.id))?;
        let history = events.get(&edit.id).map_or(&[][..], Vec::as_slice);
        one(edit, row, history, attempts, &mut counts).with_context(|| {
            format!(
                "edit {} ({}): {row:?}\n{history:#?}",
                edit.id, edit.planned.body
            )
        })?;
    }
    results(place, round, &rows).await?;
    accounts(truth).await?;
    Ok(counts)
}

/// The row of an edit.
#[derive(Clone, Debug)]
struct Edit {
    state: String,
    seq: i64,
    epoch: i32,
    attempts: i16,
    max_attempts: i16,
    leased: bool,
    error: Option<Value>,
}

async fn rows(truth: &PgPool, round: &str) -> Result<HashMap<Uuid, Edit>> {
    let rows = sqlx::query(
        "select id, state, seq, epoch, attempts, max_attempts, lease_expires_at is not null, error
         from edits where starts_with(idempotency_key, $1)",
    )
    .bind(round)
    .fetch_all(truth)
    .await?;
    rows.iter()
        .map(|row| {
            let edit = Edit {
                state: row.try_get(1)?,
                seq: row.try_get(2)?,
                epoch: row.try_get(3)?,
                attempts: row.try_get(4)?,
                max_attempts: row.try_get(5)?,
                leased: row.try_get(6)?,
                error: row.try_get(7)?,
            };
            Ok((row.try_get(0)?, edit))
        })
        .collect()
}

/// That one edit ended as it was to, exactly once, with a history that explains it.
fn one(
    edit: &Accepted,
    row: &Edit,
    history: &[Event],
    attempts: Attempts,
    counts: &mut Counts,
) -> Result<()> {
    ensure!(!row.leased, "a lease is stuck");
    let code = row
        .error
        .as_ref()
        .map_or("", |error| error["code"].as_str().unwrap_or_default());
    let as_expected = match edit.planned.end {
        End::Succeeded => row.state == "succeeded",
        End::Refused => row.state == "failed" && code == "null_refused",
        End::Failed => row.state == "failed" && matches!(code, "null_failed" | "worker_died"),
        End::Cancelled => row.state == "cancelled",
        End::CancelledOrSucceeded => matches!(row.state.as_str(), "cancelled" | "succeeded"),
    };
    ensure!(
        as_expected,
        "it ended as {} {code}, and was to end as {:?}",
        row.state,
        edit.planned.end
    );
    match row.state.as_str() {
        "succeeded" => counts.succeeded += 1,
        "failed" => counts.failed += 1,
        _ => counts.cancelled += 1,
    }
    ensure!(
        history.len() as i64 == row.seq,
        "{} events, but seq is {}",
        history.len(),
        row.seq
    );
    counts.events += history.len();
    walk(row, history, attempts, counts)?;
    if let Some(seen) = &edit.seen {
        let (seen_last, last) = (seen.events.last(), history.last());
        ensure!(
            seen.events.len() == history.len()
                && seen_last
                    .zip(last)
                    .is_some_and(|(seen, last)| seen["kind"] == last.kind.as_str()),
            "its watcher saw {} of {} events",
            seen.events.len(),
            history.len()
        );
        counts.streams_again += seen.streams - 1;
    }
    Ok(())
}
