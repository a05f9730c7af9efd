//! What must hold after any fault.
//!
//! # Layout
//!
//! - `rows`, `counts`: edits as the table has them; what was counted
//! - `history`: the events of an edit, and what each attempt may have cost
//! - `results`: one result an edit, and accounts that add up

mod counts;
mod history;
mod results;
mod rows;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlx::PgPool;

use crate::load::{Accepted, End};
use crate::services::Namespace;
use history::{Event, events, walk};
use results::{accounts, results};
use rows::{Edit, rows};

pub use counts::Counts;
pub use history::Attempts;
pub use results::result_digest;

/// Edits that have not ended.
///
/// # Errors
///
/// When Postgres can't be asked.
pub async fn in_flight(postgres: &PgPool) -> Result<i64> {
    Ok(
        sqlx::query_scalar("select count(*) from edits where finished_at is null")
            .fetch_one(postgres)
            .await?,
    )
}

/// Waits until every edit has ended.
///
/// # Errors
///
/// Those that have not, when that takes longer than `deadline`.
pub async fn all_ended(postgres: &PgPool, deadline: Duration) -> Result<()> {
    let start = Instant::now();
    loop {
        let left = in_flight(postgres).await?;
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
            .fetch_all(postgres)
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
    namespace: &Namespace,
    round: &str,
    edits: &[Accepted],
    attempts: Attempts,
) -> Result<Counts> {
    let postgres = &namespace.postgres;
    let rows = rows(postgres, round).await?;
    ensure!(
        rows.len() == edits.len(),
        "{} edits are in the table, {} were accepted: an idempotency key made none or two",
        rows.len(),
        edits.len()
    );
    let events = events(postgres, round).await?;
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
    results(namespace, round, &rows).await?;
    accounts(postgres).await?;
    Ok(counts)
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
        End::Hung => row.state == "failed" && matches!(code, "engine_hung" | "worker_died"),
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
