//! Live progress of one edit.

use std::sync::Arc;

use limekiln_jobs::{EditId, Live};

/// What a watcher sees.
#[derive(Debug, Clone)]
pub enum Seen {
    /// Something happened to the edit.
    Live(Arc<Live>),
    /// Something may have been missed (a slow reader, a lost connection): read the events from Postgres again.
    Lagged,
}

/// Live progress of one edit; dropping it ends the watch. See [`Broker::watch`](crate::Broker::watch).
#[derive(Debug)]
pub struct Watch;

impl Watch {
    /// The edit watched.
    #[must_use]
    pub fn edit(&self) -> EditId {
        todo!()
    }

    /// Waits for what happens next. `None` when the broker handle was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Seen> {
        todo!()
    }
}
