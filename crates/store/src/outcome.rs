//! An attempt ends: with results, or with a failure.

use std::collections::HashSet;

use limekiln_jobs::{EditId, Epoch, Failure, FailureClass, Job, backoff};
use serde_json::{Value, json};

use crate::arrays::{column, fences, rounds};
use crate::row::{big, clean, clean_json, int};
use crate::{Error, NewArtifact, Result, Store, Write};

/// An edit is done; its blobs are put.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The edit.
    pub edit: EditId,
    /// The lease's epoch.
    pub epoch: Epoch,
    /// What is to be referred to.
    pub artifacts: Vec<NewArtifact>,
    /// The engine's report.
    pub report: Option<Value>,
    /// Time of the attempt on the device, milliseconds.
    pub gpu_ms: u64,
}

/// An attempt failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failed {
    /// The edit.
    pub edit: EditId,
    /// The lease's epoch.
    pub epoch: Epoch,
    /// Why; its class decides whether it is tried again.
    pub failure: Failure,
    /// Time of the attempt on the device, milliseconds.
    pub gpu_ms: u64,
}

impl Store {
    /// Ends edits with their results. Saying the same again (its answer may have been lost) is `Applied` too.
    pub async fn edits_complete(&self, completions: &[Completion]) -> Result<Vec<Write>> {
        for completion in completions {
            completion.check()?;
        }
        let mut writes = vec![Write::Missing; completions.len()];
        for round in rounds(completions.iter().map(|completion| completion.edit)) {
            let of = || round.iter().map(|&at| &completions[at]);
            let (ids, epochs) = fences(of().map(|completion| (completion.edit, completion.epoch)));
            let rows = self
                .rows(
                    "edits_complete",
                    sqlx::query(include_str!("sql/edits_complete.sql"))
                        .bind(&ids)
                        .bind(epochs)
                        .bind(column(of(), |completion| {
                            completion.report.clone().map(clean_json)
                        }))
                        .bind(column(of(), |completion| big(completion.gpu_ms)))
                        .bind(column(of(), |completion| big(completion.bytes())))
                        .bind(column(of(), Completion::artifacts_json)),
                )
                .await?;
            self.answer(&round, &ids, &rows, &mut writes, |at, row| {
                row.state == "succeeded" && row.epoch == int(completions[at].epoch.get())
            })
            .await?;
        }
        Ok(writes)
    }

    /// Ends attempts with a failure: waiting for a retry, or failed for good, as the failure's class and the
    /// attempts say.
    pub async fn edits_fail(&self, failures: &[Failed]) -> Result<Vec<Write>> {
        let mut writes = vec![Write::Missing; failures.len()];
        for round in rounds(failures.iter().map(|failed| failed.edit)) {
            let of = || round.iter().map(|&at| &failures[at]);
            let (ids, epochs) = fences(of().map(|failed| (failed.edit, failed.epoch)));
            // The rule is the machine's. Attempts are in the row, so it gets the waits after each number of them.
            let waits = |attempts: u16| {
                column(of(), |failed| {
                    backoff(attempts, failed.edit, failed.epoch).as_secs_f64()
                })
            };
            let rows = self
                .rows(
                    "edits_fail",
                    sqlx::query(include_str!("sql/edits_fail.sql"))
                        .bind(&ids)
                        .bind(epochs)
                        .bind(column(of(), |failed| {
                            failed.failure.class == FailureClass::User
                        }))
                        .bind(column(of(), Failed::error_json))
                        .bind(waits(1))
                        .bind(waits(2))
                        .bind(waits(3))
                        .bind(waits(4))
                        .bind(column(of(), |failed| match failed.failure.class {
                            FailureClass::Hang => 1_i16,
                            FailureClass::Suspect => 2,
                            _ => 0,
                        }))
                        .bind(i32::from(Job::HANGS_MAX))
                        .bind(column(of(), |failed| big(failed.gpu_ms))),
                )
                .await?;
            self.answer(&round, &ids, &rows, &mut writes, |_, _| false)
                .await?;
        }
        Ok(writes)
    }
}

impl Completion {
    fn check(&self) -> Result<()> {
        let kinds: HashSet<_> = self
            .artifacts
            .iter()
            .map(|artifact| artifact.kind)
            .collect();
        if kinds.len() < self.artifacts.len() {
            return Err(Error::Invalid {
                field: "artifacts",
                message: format!(
                    "edit {} has two artifacts of one kind: give one of each",
                    self.edit
                ),
            });
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.artifacts.iter().map(|artifact| artifact.bytes).sum()
    }

    fn artifacts_json(&self) -> Value {
        self.artifacts
            .iter()
            .map(|artifact| {
                json!({
                    "kind": artifact.kind.as_str(),
                    "blob_key": clean(&artifact.key),
                    "digest": artifact.digest.to_string(),
                    "bytes": big(artifact.bytes),
                    "media_type": clean(&artifact.media_type),
                    "width": artifact.width.map(int),
                    "height": artifact.height.map(int),
                })
            })
            .collect()
    }
}

impl Failed {
    /// Poison and parent are the coordinator's to give; from a worker they are failures of ours.
    fn error_json(&self) -> Value {
        let class = match self.failure.class {
            FailureClass::User => "user",
            FailureClass::Hang => "hang",
            FailureClass::Suspect => "suspect",
            _ => "internal",
        };
        json!({
            "class": class,
            "code": clean(&self.failure.code),
            "message": clean(&self.failure.message),
        })
    }
}
