//! How a worker works.

use std::path::PathBuf;
use std::time::Duration;

use limekiln_jobs::ModelName;
use tokio_util::sync::CancellationToken;

use crate::{Error, Result, Signals};

/// How a worker works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What lists of workers show.
    pub name: String,
    /// The models that its editor holds.
    pub models: Vec<ModelName>,
    /// Edits in the engine at once.
    pub slots: u32,
    /// A worker that is silent for this long loses its edits; renewed every third of it.
    pub lease_ttl: Duration,
    /// How often an edit's state is saved to S3.
    pub checkpoint_every: Duration,
    /// How often a preview of a running edit is published.
    pub preview_every: Duration,
    /// A call of the engine (a step, at most) that takes longer hangs.
    pub stall_after: Duration,
    /// How long S3 may be away before an edit that needs it fails (and is tried again).
    pub blobs_patience: Duration,
    /// From the shutdown to the end of [`crate::run`], whatever hangs.
    pub shutdown_grace: Duration,
    /// Whether inputs are read, checkpoints kept and results written; off for load tests of the queue alone.
    pub blobs: bool,
    /// Folder of inputs fetched before.
    pub cache_dir: PathBuf,
    /// Bound on that folder, in bytes.
    pub cache_bytes_max: u64,
    /// Cancelled once the models are warm and the worker takes edits.
    pub ready: CancellationToken,
    /// Where what happens is told as it happens; for tests.
    pub signals: Signals,
}

impl Settings {
    /// The usual settings: one slot, a lease of 15 s, a checkpoint every 3 s, out within 10 s.
    pub fn new(
        name: impl Into<String>,
        models: Vec<ModelName>,
        cache_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            models,
            slots: 1,
            lease_ttl: Duration::from_secs(15),
            checkpoint_every: Duration::from_secs(3),
            preview_every: Duration::from_millis(500),
            stall_after: Duration::from_secs(120),
            blobs_patience: Duration::from_secs(300),
            shutdown_grace: Duration::from_secs(10),
            blobs: true,
            cache_dir: cache_dir.into(),
            cache_bytes_max: 1 << 30,
            ready: CancellationToken::new(),
            signals: Signals::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = if self.models.is_empty() {
            "a worker needs a model"
        } else if self.slots == 0 || self.slots > 4096 {
            "a worker has 1 to 4096 slots"
        } else if self.lease_ttl < Duration::from_millis(100) {
            "a lease lasts at least 100 ms"
        } else if self.stall_after.is_zero() || self.shutdown_grace.is_zero() {
            "stall_after and shutdown_grace must be more than nothing"
        } else {
            return Ok(());
        };
        Err(Error::Settings(wrong))
    }
}
