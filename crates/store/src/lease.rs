//! Writes under a lease. All are fenced by edit, epoch and `state = 'running'`, and index-aligned with their input.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::{Digest, EditId, Epoch, Needs, WorkerId};
use serde_json::Value;

use crate::arrays::{column, fences, rounds};
use crate::row::{big, clean, get, id, int};
use crate::{Result, Store, Write};

/// Edits of one statement where all leases end.
const ENDED: u32 = 1000;

/// A saved state of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Key of the blob.
    pub key: String,
    /// Steps done, over both stages.
    pub step: u32,
    /// Digest of the content.
    pub digest: Digest,
    /// Length in bytes.
    pub bytes: u64,
}

/// An edit got further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progressed {
    /// The edit.
    pub edit: EditId,
    /// The lease's epoch.
    pub epoch: Epoch,
    /// What is being done.
    pub stage: String,
    /// Steps done.
    pub step: u32,
    /// Steps in all.
    pub steps: u32,
    /// The region, a small PNG in base64, the first time that it is told: an event of its own, before the one of the progress.
    pub located: Option<String>,
}

impl Progressed {
    /// Characters of a region, at most: 8 KB before base64. A longer one is not told.
    pub const LOCATED_MAX: usize = 8192 * 4 / 3 + 4;
}

/// An edit's state was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpointed {
    /// The edit.
    pub edit: EditId,
    /// The lease's epoch.
    pub epoch: Epoch,
    /// What was saved.
    pub checkpoint: Checkpoint,
}

impl Store {
    /// Extends leases to `ttl` from now. One whose row another statement is writing right then is held, and is not
    /// extended before the next time: the reaper leaves such rows alone, too.
    pub async fn leases_renew(
        &self,
        worker: WorkerId,
        leases: &[(EditId, Epoch)],
        ttl: Duration,
    ) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Missing; leases.len()];
        for round in rounds(leases.iter().map(|lease| lease.0)) {
            let (ids, epochs) = fences(round.iter().map(|&at| leases[at]));
            let rows = self
                .rows(
                    "leases_renew",
                    sqlx::query(include_str!("sql/leases_renew.sql"))
                        .bind(worker.uuid())
                        .bind(&ids)
                        .bind(epochs)
                        .bind(ttl.as_secs_f64()),
                )
                .await?;
            self.answer(&round, &ids, &rows, &mut writes, |at, row| {
                row.state == "running"
                    && row.epoch == int(leases[at].1.get())
                    && row.worker == Some(worker.uuid())
            })
            .await?;
        }
        Ok(writes)
    }

    /// Records progress, each an event.
    pub async fn edits_progress(&self, progress: &[Progressed]) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Missing; progress.len()];
        for round in rounds(progress.iter().map(|progressed| progressed.edit)) {
            let of = || round.iter().map(|&at| &progress[at]);
            let (ids, epochs) = fences(of().map(|progressed| (progressed.edit, progressed.epoch)));
            let rows = self
                .rows(
                    "edits_progress",
                    sqlx::query(include_str!("sql/edits_progress.sql"))
                        .bind(&ids)
                        .bind(epochs)
                        .bind(column(of(), |progressed| clean(&progressed.stage)))
                        .bind(column(of(), |progressed| int(progressed.step)))
                        .bind(column(of(), |progressed| int(progressed.steps)))
                        .bind(column(of(), |progressed| {
                            let located = progressed.located.as_deref();
                            located.filter(|png| png.len() <= Progressed::LOCATED_MAX)
                        })),
                )
                .await?;
            self.answer(&round, &ids, &rows, &mut writes, |_, _| false)
                .await?;
        }
        Ok(writes)
    }

    /// Refers to checkpoints that were just put.
    ///
    /// The key beside each answer is the one nothing refers to now, to be deleted: the checkpoint that was replaced,
    /// or the offered one when the lease is gone or the stored checkpoint is at the same step or further (which is
    /// still `Applied`: the lease holds).
    pub async fn edits_checkpoint(
        &self,
        checkpoints: &[Checkpointed],
    ) -> Result<Vec<(Write, Option<String>)>> {
        let mut writes = vec![Write::Missing; checkpoints.len()];
        let mut unreferenced: Vec<Option<String>> = checkpoints
            .iter()
            .map(|offered| Some(offered.checkpoint.key.clone()))
            .collect();
        for round in rounds(checkpoints.iter().map(|offered| offered.edit)) {
            let of = || round.iter().map(|&at| &checkpoints[at]);
            let (ids, epochs) = fences(of().map(|offered| (offered.edit, offered.epoch)));
            let rows = self
                .rows(
                    "edits_checkpoint",
                    sqlx::query(include_str!("sql/edits_checkpoint.sql"))
                        .bind(&ids)
                        .bind(&epochs)
                        .bind(column(of(), |offered| clean(&offered.checkpoint.key)))
                        .bind(column(of(), |offered| int(offered.checkpoint.step)))
                        .bind(column(of(), |offered| {
                            offered.checkpoint.digest.bytes().to_vec()
                        }))
                        .bind(column(of(), |offered| big(offered.checkpoint.bytes))),
                )
                .await?;
            let mut replaced: HashMap<EditId, Option<String>> = HashMap::new();
            for row in &rows {
                replaced.insert(id(row, "id")?, get(row, "replaced")?);
            }
            for &at in &round {
                if let Some(replaced) = replaced.remove(&checkpoints[at].edit) {
                    unreferenced[at] = replaced;
                }
            }
            // A stored checkpoint as far as this one, or this one stored before: the lease holds.
            let mut repeated = Vec::new();
            self.answer(&round, &ids, &rows, &mut writes, |at, row| {
                let held = row.state == "running" && row.epoch == int(checkpoints[at].epoch.get());
                if held
                    && row.checkpoint_key.as_deref()
                        == Some(checkpoints[at].checkpoint.key.as_str())
                {
                    repeated.push(at);
                }
                held
            })
            .await?;
            for at in repeated {
                unreferenced[at] = None;
            }
        }
        Ok(writes.into_iter().zip(unreferenced).collect())
    }

    /// Gives leases back: queued again, no attempt charged. With each, the time of its attempt on the device in milliseconds.
    pub async fn edits_hand_back(&self, leases: &[(EditId, Epoch, u64)]) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Missing; leases.len()];
        for round in rounds(leases.iter().map(|lease| lease.0)) {
            let of = || round.iter().map(|&at| &leases[at]);
            let (ids, epochs) = fences(of().map(|(edit, epoch, _)| (*edit, *epoch)));
            let rows = self
                .rows(
                    "edits_hand_back",
                    sqlx::query(include_str!("sql/edits_hand_back.sql"))
                        .bind(&ids)
                        .bind(epochs)
                        .bind(column(of(), |(_, _, gpu_ms)| big(*gpu_ms))),
                )
                .await?;
            self.answer(&round, &ids, &rows, &mut writes, |_, _| false)
                .await?;
        }
        Ok(writes)
    }

    /// Charges time on the device, in milliseconds, for edits that ended while their workers were computing.
    pub async fn edits_charge(&self, charges: &[(EditId, Epoch, u64)]) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Missing; charges.len()];
        for round in rounds(charges.iter().map(|lease| lease.0)) {
            let of = || round.iter().map(|&at| &charges[at]);
            let (ids, epochs) = fences(of().map(|(edit, epoch, _)| (*edit, *epoch)));
            let rows = self
                .rows(
                    "edits_charge",
                    sqlx::query(include_str!("sql/edits_charge.sql"))
                        .bind(&ids)
                        .bind(epochs)
                        .bind(column(of(), |(_, _, gpu_ms)| big(*gpu_ms))),
                )
                .await?;
            self.answer(&round, &ids, &rows, &mut writes, |_, _| false)
                .await?;
        }
        Ok(writes)
    }

    /// Gives leases back of edits that need what their worker does not know: queued again, no attempt charged, and kept from
    /// workers that can't do these needs.
    pub async fn edits_pass_on(&self, leases: &[(EditId, Epoch, Needs)]) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Missing; leases.len()];
        for round in rounds(leases.iter().map(|lease| lease.0)) {
            let of = || round.iter().map(|&at| &leases[at]);
            let (ids, epochs) = fences(of().map(|(edit, epoch, _)| (*edit, *epoch)));
            let needs = column(of(), |(_, _, needs)| -> Value {
                needs.iter().map(clean).collect()
            });
            let rows = self
                .rows(
                    "edits_pass_on",
                    sqlx::query(include_str!("sql/edits_pass_on.sql"))
                        .bind(&ids)
                        .bind(epochs)
                        .bind(needs),
                )
                .await?;
            self.answer(&round, &ids, &rows, &mut writes, |_, _| false)
                .await?;
        }
        Ok(writes)
    }

    /// Edits start over at step 0: the checkpoints of these keys can't be used, and nothing refers to them afterwards.
    pub async fn edits_start_over(&self, leases: &[(EditId, Epoch, String)]) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Missing; leases.len()];
        for round in rounds(leases.iter().map(|lease| lease.0)) {
            let of = || round.iter().map(|&at| &leases[at]);
            let (ids, epochs) = fences(of().map(|(edit, epoch, _)| (*edit, *epoch)));
            let rows = self
                .rows(
                    "edits_start_over",
                    sqlx::query(include_str!("sql/edits_start_over.sql"))
                        .bind(&ids)
                        .bind(epochs)
                        .bind(column(of(), |(_, _, key)| clean(key))),
                )
                .await?;
            // Said before, and the answer was lost: the lease holds.
            self.answer(&round, &ids, &rows, &mut writes, |at, row| {
                row.state == "running" && row.epoch == int(leases[at].1.get())
            })
            .await?;
        }
        Ok(writes)
    }

    /// Ends all leases there are: for a process that knows that no worker but its own uses this database, and whose
    /// workers have not started. Returns how many there were; they are taken at once, since nobody is left to renew them.
    pub async fn leases_end_all(&self) -> Result<u64> {
        let ended: i64 = self
            .value(
                "leases",
                sqlx::query_scalar(
                    "with ended as (
                         update edits set lease_expires_at = now() where state = 'running' returning 1)
                     select count(*) from ended",
                ),
            )
            .await?;
        while !self.edits_reap(ENDED).await?.is_empty() {}
        Ok(ended.unsigned_abs())
    }
}
