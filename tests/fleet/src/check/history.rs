//! The history of an edit: every event follows from the one before, and so does every attempt.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::counts::Counts;
use super::rows::Edit;

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

/// An event of an edit.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) seq: i64,
    pub(super) kind: String,
    pub(super) data: Value,
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

/// Events of a round's edits, in order.
pub(super) async fn events(postgres: &PgPool, round: &str) -> Result<HashMap<Uuid, Vec<Event>>> {
    let rows = sqlx::query(
        "select v.edit_id, v.seq, v.kind, v.data from edit_events v join edits e on e.id = v.edit_id
         where starts_with(e.idempotency_key, $1) order by v.edit_id, v.seq",
    )
    .bind(round)
    .fetch_all(postgres)
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

/// Walks an edit's history: every event follows from the one before, and so does every attempt.
pub(super) fn walk(
    row: &Edit,
    history: &[Event],
    attempts: Attempts,
    counts: &mut Counts,
) -> Result<()> {
    // A claim that stepped aside was handed back, and is told from a lost one by nothing in the history.
    let attempts = match attempts {
        Attempts::Exact if row.asides > 0 => Attempts::Bounded,
        attempts => attempts,
    };
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
            "started" | "progress" | "located" => {
                matches!(
                    kind,
                    "progress"
                        | "located"
                        | "queued"
                        | "retrying"
                        | "succeeded"
                        | "failed"
                        | "cancelled"
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
            "queued" if matches!(before, "started" | "progress" | "located") => {
                let charge = event.number("attempts")? - charged;
                charged += charge;
                lost = Some((claim_step, charge));
            }
            "retrying" => {
                // Who of several edits is to blame is not known yet.
                charged += i64::from(event.data["error"]["class"] != "suspect");
                ensure!(
                    event.number("attempts")? == charged,
                    "a failure charged other than one attempt"
                );
            }
            "failed" if matches!(before, "started" | "progress" | "located") => {
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
            asides: 0,
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
            asides: 0,
            error: None,
        };
        assert!(
            walk(&row, &gap, rule, &mut Counts::default()).is_err(),
            "a gap was not found"
        );
    }
}
