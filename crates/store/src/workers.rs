//! Workers and their slots. What they hold decides how far ahead edits are released.

use std::time::Duration;

use limekiln_jobs::{ModelName, WorkerId};
use time::OffsetDateTime;

use crate::{Result, Store};

/// A worker that has just started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorker {
    /// Its id, new with every start.
    pub id: WorkerId,
    /// What its operator calls it.
    pub name: String,
    /// The models it holds.
    pub models: Vec<ModelName>,
    /// Edits it runs at once.
    pub slots: u32,
    /// The program's version.
    pub version: String,
    /// What it computes on.
    pub device: String,
}

/// What a worker is told when it says that it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// Take no more edits; end when those at hand have ended.
    pub drain: bool,
    /// Whether the row is there; if not, register again.
    pub known: bool,
}

/// A worker as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Its id.
    pub id: WorkerId,
    /// What its operator calls it.
    pub name: String,
    /// The models it holds.
    pub models: Vec<ModelName>,
    /// Edits it runs at once.
    pub slots: u32,
    /// Edits it runs now, as it said last.
    pub busy: u32,
    /// The program's version.
    pub version: String,
    /// What it computes on.
    pub device: String,
    /// Whether it was told to drain.
    pub draining: bool,
    /// Whether it was heard of within three times its `ttl`.
    pub alive: bool,
    /// When it registered.
    pub started_at: OffsetDateTime,
    /// When it was last heard of.
    pub seen_at: OffsetDateTime,
}

impl Store {
    /// Registers a worker, or registers it anew. It counts as dead when it is not heard of for three times `ttl`.
    pub async fn worker_register(&self, worker: &NewWorker, ttl: Duration) -> Result<()> {
        let _ = (worker, ttl);
        todo!()
    }

    /// The worker lives and runs `busy` edits.
    pub async fn worker_beat(&self, id: WorkerId, busy: u32) -> Result<Orders> {
        let _ = (id, busy);
        todo!()
    }

    /// All workers that are not gone, oldest first.
    pub async fn worker_list(&self) -> Result<Vec<Worker>> {
        todo!()
    }

    /// Tells one worker, or all there are, to drain (or no longer to); returns how many it concerned.
    pub async fn worker_drain(&self, id: Option<WorkerId>, drain: bool) -> Result<u64> {
        let _ = (id, drain);
        todo!()
    }

    /// The worker has ended.
    pub async fn worker_gone(&self, id: WorkerId) -> Result<()> {
        let _ = id;
        todo!()
    }
}
