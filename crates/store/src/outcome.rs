//! An attempt ends: with results, or with a failure.

use limekiln_jobs::{EditId, Epoch, Failure};
use serde_json::Value;

use crate::{NewArtifact, Result, Store, Write};

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
    /// Time on the device, milliseconds.
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
}

impl Store {
    /// Ends edits with their results. Saying the same again (its answer may have been lost) is `Applied` too.
    pub async fn edits_complete(&self, completions: &[Completion]) -> Result<Vec<Write>> {
        let _ = completions;
        todo!()
    }

    /// Ends attempts with a failure: waiting for a retry, or failed for good, as the failure's class and the
    /// attempts say.
    pub async fn edits_fail(&self, failures: &[Failed]) -> Result<Vec<Write>> {
        let _ = failures;
        todo!()
    }
}
