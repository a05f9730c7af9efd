//! An edit in the engine, as its thread keeps it.

use std::time::Instant;

use tokio::sync::oneshot;

use super::channel::{RunSink, Snapshot};
use crate::{Progress, RunId};

/// An edit in the engine.
pub(super) struct Run {
    pub(super) id: RunId,
    /// None until it is known.
    pub(super) first_step: Option<u32>,
    pub(super) progress: Progress,
    pub(super) sink: RunSink,
    pub(super) alone: bool,
    pub(super) interactive: bool,
    /// Calls that were made without it since its last one.
    pub(super) passed_over: u32,
    /// Something is done for it beside the engine.
    pub(super) away: bool,
    /// Who waits for its state until that is done.
    pub(super) save_to: Option<oneshot::Sender<Snapshot>>,
    pub(super) saved_at: Instant,
    pub(super) saved_step: u32,
    /// None until there was something to see.
    pub(super) previewed_at: Option<Instant>,
    /// Whether the region was told.
    pub(super) located: bool,
}

impl Run {
    pub(super) fn new(
        id: RunId,
        (alone, interactive): (bool, bool),
        progress: Progress,
        sink: RunSink,
    ) -> Self {
        let now = Instant::now();
        Self {
            id,
            first_step: None,
            progress,
            sink,
            alone,
            interactive,
            passed_over: 0,
            away: false,
            save_to: None,
            saved_at: now,
            saved_step: progress.step,
            previewed_at: None,
            located: false,
        }
    }
}
