//! Lossy broadcasts: wakes to coordinators, stops to workers.

use limekiln_jobs::{EditId, Epoch};
use serde::{Deserialize, Serialize};

/// "There may be something to release." See [`Broker::wakes`](crate::Broker::wakes).
#[derive(Debug)]
pub struct Wakes;

impl Wakes {
    /// Waits for the next wake; several that came meanwhile are one. `None` when the broker handle was closed.
    ///
    /// Cancel safe. Wakes get lost while the connection is down, and one is given when it is back: tick as well.
    pub async fn next(&mut self) -> Option<()> {
        todo!()
    }
}

/// "Stop this edit at its next step."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The edit to stop.
    pub edit: EditId,
    /// The epoch it was running under; a later one is not meant.
    pub epoch: Epoch,
}

/// Stops sent to workers. See [`Broker::stops`](crate::Broker::stops).
#[derive(Debug)]
pub struct Stops;

impl Stops {
    /// Waits for the next stop. `None` when the broker handle was closed.
    ///
    /// Cancel safe. A lost stop is harmless: the next renewal of the lease says the same.
    pub async fn next(&mut self) -> Option<Stop> {
        todo!()
    }
}
