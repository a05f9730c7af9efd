//! What must hold after any fault.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use limekiln_blobs::Key;
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::load::{Accepted, End};
use crate::services::Place;

/// How attempts may have been charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// No lease was lost: none.
    None,
    /// Leases ran out: one for each claim that made no progress, none for one that did.
    Exact,
    /// Leases ran out or were handed back: none for a claim that made progress, one at most for one that did not.
    Bounded,
}

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

/// An event of an edit.
#[derive(Clone, Debug)]
struct Event {
    seq: i64,
    kind: String,
    data: Value,
}

impl Event {
    fn number(&self, name: &str) -> Result<i64> {
        self.data[name].as_i64().with_context(|| {
            format!(
                "event {} {} has no {name}: {}",
                self.seq, self.kind, self.data
            )
        })
    }
}

async fn events(truth: &PgPool, round: &str) -> Result<HashMap<Uuid, Vec<Event>>> {
    let rows = sqlx::query(
        "select v.edit_id, v.seq, v.kind, v.data from edit_events v join edits e on e.id = v.edit_id
         where starts_with(e.idempotency_key, $1) order by v.edit_id, v.seq",
    )
    .bind(round)
    .fetch_all(truth)
    .await?;
    let mut events = HashMap::<Uuid, Vec<Event>>::new();
    for row in rows {
        let event = Event {
            seq: row.try_get(1)?,
            kind: row.try_get(2)?,
            data: row.try_get(3)?,
        };
        events.entry(row.try_get(0)?).or_default().push(event);
    }
    Ok(events)
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

/// Walks an edit's history: every event follows from the one before, and so does every attempt.
fn walk(row: &Edit, history: &[Event], attempts: Attempts, counts: &mut Counts) -> Result<()> {
    let mut before = "";
    let (mut epoch, mut charged) = (0, 0);
    // The checkpoint at the last claim, and what was charged when its lease was lost.
    let mut lost: Option<(i64, i64)> = None;
    let mut claim_step = 0;
    for (event, number) in history.iter().zip(1..) {
        let kind = event.kind.as_str();
        ensure!(
            event.seq == number,
            "event {} stands where {number} is due",
            event.seq
        );
        let follows = match before {
            "" => matches!(kind, "queued" | "waiting"),
            "waiting" => matches!(kind, "queued" | "failed" | "cancelled"),
            "queued" => matches!(kind, "started" | "cancelled"),
            "started" | "progress" => {
                matches!(
                    kind,
                    "progress" | "queued" | "retrying" | "succeeded" | "failed" | "cancelled"
                )
            }
            "retrying" => matches!(kind, "queued" | "cancelled"),
            _ => false,
        };
        ensure!(follows, "event {number} {kind} follows {before:?}");
        match kind {
            "started" => {
                epoch += 1;
                ensure!(
                    event.number("epoch")? == epoch,
                    "claim {epoch} has epoch {}",
                    event.data["epoch"]
                );
                ensure!(
                    event.number("attempts")? == charged,
                    "attempts changed from {charged} by a claim"
                );
                let checkpoint = event.number("checkpoint_step")?;
                ensure!(
                    checkpoint >= claim_step,
                    "the checkpoint went back from {claim_step} to {checkpoint}"
                );
                counts.resumed += usize::from(checkpoint > 0);
                if let Some((step, charge)) = lost.take() {
                    charge_check(attempts, checkpoint > step, charge)?;
                }
                claim_step = checkpoint;
            }
            "queued" if matches!(before, "started" | "progress") => {
                let charge = event.number("attempts")? - charged;
                charged += charge;
                lost = Some((claim_step, charge));
            }
            "retrying" => {
                charged += 1;
                ensure!(
                    event.number("attempts")? == charged,
                    "a failure charged other than one attempt"
                );
            }
            "failed" if matches!(before, "started" | "progress") => {
                let charge = event.number("attempts")? - charged;
                ensure!(
                    (0..=1).contains(&charge),
                    "the last failure charged {charge} attempts"
                );
                charged += charge;
            }
            _ => {}
        }
        before = kind;
    }
    ensure!(
        matches!(before, "succeeded" | "failed" | "cancelled"),
        "the last event is {before}"
    );
    ensure!(
        epoch == i64::from(row.epoch),
        "{epoch} claims, but the epoch is {}",
        row.epoch
    );
    ensure!(
        charged == i64::from(row.attempts),
        "{charged} attempts by the history, {} in the row",
        row.attempts
    );
    ensure!(
        row.attempts <= row.max_attempts,
        "{} attempts of {}",
        row.attempts,
        row.max_attempts
    );
    counts.claims += epoch;
    counts.again += (epoch - 1).max(0);
    counts.attempts += charged;
    Ok(())
}

/// One lease that was lost: what it may have cost.
fn charge_check(attempts: Attempts, progressed: bool, charge: i64) -> Result<()> {
    let right = match attempts {
        Attempts::None => charge == 0,
        Attempts::Exact => charge == i64::from(!progressed),
        Attempts::Bounded => charge == 0 || (charge == 1 && !progressed),
    };
    ensure!(
        right,
        "a lost claim (progressed: {progressed}) was charged {charge} attempts; the rule is {attempts:?}"
    );
    Ok(())
}

/// That every edit that succeeded refers to one result, of its last epoch, that is there; and no other edit to any.
async fn results(place: &Place, round: &str, edits: &HashMap<Uuid, Edit>) -> Result<()> {
    let rows = sqlx::query(
        "select a.edit_id, a.kind, a.blob_key, a.digest, a.bytes from artifacts a join edits e on e.id = a.edit_id
         where starts_with(e.idempotency_key, $1)",
    )
    .bind(round)
    .fetch_all(&place.truth)
    .await?;
    let mut results = HashMap::<Uuid, usize>::new();
    let mut blobs = Vec::new();
    for row in &rows {
        let (edit, kind): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
        let (key, digest, bytes): (String, Vec<u8>, i64) =
            (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        let of = edits.get(&edit).context("an artifact of no edit")?;
        ensure!(
            of.state == "succeeded",
            "edit {edit} {} and has a {kind}",
            of.state
        );
        ensure!(
            key.contains(&format!("/edits/{edit}/{}/", of.epoch)),
            "edit {edit} succeeded in epoch {} and refers to {key}",
            of.epoch
        );
        if kind == "result" {
            *results.entry(edit).or_default() += 1;
        }
        blobs.push((key, digest, bytes));
    }
    for (edit, of) in edits.iter().filter(|(_, of)| of.state == "succeeded") {
        ensure!(
            results.get(edit) == Some(&1),
            "edit {edit} has {:?} results: {of:?}",
            results.get(edit)
        );
    }
    stream::iter(blobs)
        .map(|(key, digest, bytes)| async move {
            let limit = usize::try_from(bytes)?;
            let parsed: Key = key.parse()?;
            let body = place
                .blobs
                .get(&parsed, None, limit.try_into()?)
                .await
                .with_context(|| format!("the blob {key} is referred to"))?;
            ensure!(
                body.len() == limit,
                "{key} has {} bytes, its row says {bytes}",
                body.len()
            );
            ensure!(
                blake3::hash(&body).as_bytes()[..] == digest,
                "{key} has another digest than its row"
            );
            Ok(())
        })
        .buffer_unordered(8)
        .try_collect()
        .await
}

/// That nothing leaked: leases, slots of tenants, usage.
async fn accounts(truth: &PgPool) -> Result<()> {
    let leaked: Vec<String> =
        sqlx::query_scalar("select name || ': ' || in_flight from tenants where in_flight <> 0")
            .fetch_all(truth)
            .await?;
    ensure!(
        leaked.is_empty(),
        "all edits have ended, and tenants are charged for some: {leaked:?}"
    );
    let (charged, ended): (i64, i64) = sqlx::query_as(
        "select (select coalesce(sum(edits), 0)::bigint from usage),
                (select count(*) from edits where finished_at is not null)",
    )
    .fetch_one(truth)
    .await?;
    ensure!(
        charged == ended,
        "{ended} edits have ended, and {charged} were charged for"
    );
    Ok(())
}

/// The digest of an edit's result.
///
/// # Errors
///
/// When it has none.
pub async fn result_digest(truth: &PgPool, edit: Uuid) -> Result<Vec<u8>> {
    sqlx::query_scalar("select digest from artifacts where edit_id = $1 and kind = 'result'")
        .bind(edit)
        .fetch_one(truth)
        .await
        .with_context(|| format!("the result of {edit}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn history(kinds: &[(&str, Value)]) -> Vec<Event> {
        kinds
            .iter()
            .zip(1..)
            .map(|((kind, data), seq)| Event {
                seq,
                kind: (*kind).to_owned(),
                data: data.clone(),
            })
            .collect()
    }

    fn started(epoch: i64, attempts: i64, checkpoint_step: i64) -> (&'static str, Value) {
        (
            "started",
            json!({ "epoch": epoch, "attempts": attempts, "checkpoint_step": checkpoint_step }),
        )
    }

    fn queued(attempts: i64) -> (&'static str, Value) {
        ("queued", json!({ "attempts": attempts }))
    }

    const OK: (&str, Value) = ("succeeded", Value::Null);

    fn walked(kinds: &[(&str, Value)], epoch: i32, attempts: i16, rule: Attempts) -> Result<()> {
        let row = Edit {
            state: "succeeded".into(),
            seq: kinds.len() as i64,
            epoch,
            attempts,
            max_attempts: 3,
            leased: false,
            error: None,
        };
        walk(&row, &history(kinds), rule, &mut Counts::default())
    }

    #[test]
    fn lost_claims_cost_what_they_may() {
        let death = [queued(0), started(1, 0, 0), queued(1), started(2, 1, 0), OK];
        let progress = [queued(0), started(1, 0, 0), queued(0), started(2, 0, 7), OK];
        let charged_progress = [queued(0), started(1, 0, 0), queued(1), started(2, 1, 7), OK];
        let free_death = [queued(0), started(1, 0, 0), queued(0), started(2, 0, 0), OK];
        for (story, attempts, none, exact, bounded) in [
            (&death, 1, false, true, true),
            (&progress, 0, true, true, true),
            (&charged_progress, 1, false, false, false),
            (&free_death, 0, true, false, true),
        ] {
            for (rule, holds) in [
                (Attempts::None, none),
                (Attempts::Exact, exact),
                (Attempts::Bounded, bounded),
            ] {
                assert_eq!(
                    walked(story, 2, attempts, rule).is_ok(),
                    holds,
                    "{rule:?} {story:?}"
                );
            }
        }
    }

    #[test]
    fn histories_that_can_not_be_are_found() {
        let rule = Attempts::Bounded;
        assert!(walked(&[queued(0), started(1, 0, 0), OK], 1, 0, rule).is_ok());
        for (why, kinds, epoch) in [
            ("two ends", vec![queued(0), started(1, 0, 0), OK, OK], 1),
            ("no end", vec![queued(0), started(1, 0, 0)], 1),
            ("a result of nobody", vec![queued(0), OK], 0),
            (
                "two claims at once",
                vec![queued(0), started(1, 0, 0), started(2, 0, 0), OK],
                2,
            ),
            (
                "an epoch left out",
                vec![queued(0), started(2, 0, 0), OK],
                2,
            ),
            (
                "a claim without event",
                vec![queued(0), started(1, 0, 0), OK],
                2,
            ),
            (
                "a life after the end",
                vec![queued(0), started(1, 0, 0), OK, queued(0)],
                1,
            ),
        ] {
            assert!(
                walked(&kinds, epoch, 0, rule).is_err(),
                "{why} was not found"
            );
        }
        let mut gap = history(&[queued(0), started(1, 0, 0), OK]);
        gap[2].seq = 4;
        let row = Edit {
            state: "succeeded".into(),
            seq: 3,
            epoch: 1,
            attempts: 0,
            max_attempts: 3,
            leased: false,
            error: None,
        };
        assert!(
            walk(&row, &gap, rule, &mut Counts::default()).is_err(),
            "a gap was not found"
        );
    }
}
