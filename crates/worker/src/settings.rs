//! The settings of a worker.

use std::path::PathBuf;
use std::time::Duration;

use limekiln_jobs::{ModelName, Needs};
use tokio_util::sync::CancellationToken;

use crate::{Error, Result, Signals, can};

/// The settings of a worker.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name that lists of workers show.
    pub name: String,
    /// The models whose edits it takes; its editor holds them all.
    pub models: Vec<ModelName>,
    /// Needs of edits that it can do: by default all that this program knows.
    pub can: Needs,
    /// The most edits in the engine at once, 1 to 4096; where memory has room for fewer, that many.
    pub slots: u32,
    /// How long a lease lasts. It is renewed every third of that, and a worker that is silent for longer loses its edits.
    pub lease_ttl: Duration,
    /// How often a running edit's state is saved to S3.
    pub checkpoint_every: Duration,
    /// How often a preview of a running edit is published.
    pub preview_every: Duration,
    /// A call of the engine that shows no sign of life for longer than this is taken to hang. Networks and clustering show one
    /// between their parts.
    pub stall_after: Duration,
    /// How long S3 may be away before an edit that needs it fails (and is tried again).
    pub blobs_retry_for: Duration,
    /// Largest `size` that edits may name; by default four times the model's own. Where memory or time do not do for it, less
    /// is announced.
    pub size_max: Option<u32>,
    /// Most rows of the network's batch (lanes times steps) of an edit at the model's own size.
    pub rows_max: u64,
    /// Most distances that an edit's clustering may compute.
    pub distances_max: u64,
    /// Bytes that the process may take: models, pictures, computing and drawing.
    pub memory_bytes: u64,
    /// The longest time from the shutdown to the end of [`crate::run`], whatever hangs.
    pub shutdown_grace: Duration,
    /// Whether inputs are read, checkpoints kept and results written; off for load tests of the queue alone.
    pub blobs: bool,
    /// The folder that keeps inputs which were fetched before.
    pub cache_dir: PathBuf,
    /// The most that this folder may hold, in bytes.
    pub cache_bytes_max: u64,
    /// Bytes of memory that may hold what earlier edits computed of their pictures; a sixteenth of `memory_bytes` at most.
    pub reuse_bytes_max: u64,
    /// Cancelled by the worker once its models are warm and it takes edits; for readiness probes.
    pub ready: CancellationToken,
    /// Signals of what happens in the worker; for tests.
    pub signals: Signals,
}

impl Settings {
    /// [`Settings::rows_max`] by default: the preset `paper` (525) more than twice.
    pub const ROWS_MAX: u64 = 1200;
    /// [`Settings::distances_max`] by default: five times those of `paper`.
    pub const DISTANCES_MAX: u64 = 1 << 30;

    /// The defaults: one slot, a lease of 15 s, a checkpoint every 3 s, 10 s of grace at the shutdown, four fifths of the
    /// memory that the machine or the container has.
    pub fn new(
        name: impl Into<String>,
        models: Vec<ModelName>,
        cache_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            models,
            can: can(),
            slots: 1,
            lease_ttl: Duration::from_secs(15),
            checkpoint_every: Duration::from_secs(3),
            preview_every: Duration::from_millis(500),
            stall_after: Duration::from_secs(120),
            blobs_retry_for: Duration::from_secs(300),
            size_max: None,
            rows_max: Self::ROWS_MAX,
            distances_max: Self::DISTANCES_MAX,
            memory_bytes: memory_default(),
            shutdown_grace: Duration::from_secs(10),
            blobs: true,
            cache_dir: cache_dir.into(),
            cache_bytes_max: 1 << 30,
            reuse_bytes_max: 64 << 20,
            ready: CancellationToken::new(),
            signals: Signals::default(),
        }
    }

    /// Bytes of memory that hold what earlier edits computed; edits have the rest.
    pub(crate) fn reuse_bytes(&self) -> u64 {
        self.reuse_bytes_max.min(self.memory_bytes / 16)
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

/// Four fifths of the memory that there is: the rest is for what is not counted (messages, connections, what the allocator
/// keeps). 4 GiB where the system does not say.
fn memory_default() -> u64 {
    limekiln_memory::available().map_or(4 << 30, |bytes| bytes / 5 * 4)
}
