//! Lists of edits as the arrays of one statement, and its rows as answers in the order of the lists.

use std::collections::HashMap;

use limekiln_jobs::{EditId, Epoch};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::Result;
use crate::row::{get, id, int, whole};
use crate::store::Store;
use crate::write::Write;

/// Splits `0..edits.len()` into rounds for one statement each: within a round every edit comes once, and in the order of
/// the ids, which is the order in which all statements lock.
pub(crate) fn rounds(edits: impl Iterator<Item = EditId>) -> Vec<Vec<usize>> {
    let mut seen: HashMap<EditId, usize> = HashMap::new();
    let mut rounds: Vec<Vec<(EditId, usize)>> = Vec::new();
    for (at, edit) in edits.enumerate() {
        let round = seen.entry(edit).or_default();
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push((edit, at));
        *round += 1;
    }
    rounds
        .into_iter()
        .map(|mut round| {
            round.sort_unstable();
            round.into_iter().map(|(_, at)| at).collect()
        })
        .collect()
}

/// One array of a statement: a value of each item.
pub(crate) fn column<I: IntoIterator, T>(items: I, value: impl FnMut(I::Item) -> T) -> Vec<T> {
    items.into_iter().map(value).collect()
}

/// Ids and epochs of a round, as two arrays.
pub(crate) fn fences(leases: impl Iterator<Item = (EditId, Epoch)>) -> (Vec<Uuid>, Vec<i32>) {
    leases
        .map(|(edit, epoch)| (edit.uuid(), int(epoch.get())))
        .unzip()
}

/// Rows of `id, seq, ..` by edit.
pub(crate) fn applied(rows: &[PgRow]) -> Result<HashMap<EditId, (u64, &PgRow)>> {
    rows.iter()
        .map(|row| Ok((id(row, "id")?, (whole(row, "seq")?, row))))
        .collect()
}

/// Why a fenced write found nothing.
pub(crate) struct Missed {
    pub(crate) epoch: i32,
    pub(crate) state: String,
    pub(crate) seq: u64,
    pub(crate) worker: Option<Uuid>,
    pub(crate) checkpoint_key: Option<String>,
}

impl Store {
    /// The rows of edits whose fenced write found nothing: stale if it is here, missing if not. They are rare.
    pub(crate) async fn missed(&self, edits: Vec<Uuid>) -> Result<HashMap<EditId, Missed>> {
        if edits.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self
            .rows(
                "missed",
                sqlx::query(
                    "select id, epoch, state, seq, worker_id, checkpoint_key from edits where id = any($1)",
                )
                .bind(edits),
            )
            .await?;
        rows.iter()
            .map(|row| {
                let missed = Missed {
                    epoch: get(row, "epoch")?,
                    state: get(row, "state")?,
                    seq: whole(row, "seq")?,
                    worker: get(row, "worker_id")?,
                    checkpoint_key: get(row, "checkpoint_key")?,
                };
                Ok((id(row, "id")?, missed))
            })
            .collect()
    }

    /// Puts the answers to a round of fenced writes into their places in `writes`. `again` tells of an edit that was not
    /// written whether an earlier try of the same write had been done.
    pub(crate) async fn answer(
        &self,
        round: &[usize],
        edits: &[Uuid],
        rows: &[PgRow],
        writes: &mut [Write],
        mut again: impl FnMut(usize, &Missed) -> bool,
    ) -> Result<()> {
        let applied = applied(rows)?;
        let lost = edits
            .iter()
            .copied()
            .filter(|edit| !applied.contains_key(&EditId::from(*edit)))
            .collect();
        let missed = self.missed(lost).await?;
        for (&at, &edit) in round.iter().zip(edits) {
            let edit = EditId::from(edit);
            writes[at] = match (applied.get(&edit), missed.get(&edit)) {
                (Some(&(seq, _)), _) => Write::Applied { seq },
                (None, Some(missed)) if again(at, missed) => Write::Applied { seq: missed.seq },
                (None, Some(_)) => Write::Stale,
                (None, None) => Write::Missing,
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_sorted_and_without_doubles() {
        let [a, b, c] = [1_u128, 2, 3].map(|n| EditId::from(Uuid::from_u128(n)));
        assert_eq!(
            rounds([c, a, b, a, a].into_iter()),
            [vec![1, 2, 0], vec![3], vec![4]]
        );
        assert!(rounds(std::iter::empty()).is_empty());
    }
}
