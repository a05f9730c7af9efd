//! Lossy broadcasts: wakes to coordinators, stops to workers.

use limekiln_jobs::{EditId, Epoch};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

/// "There may be something to release." See [`Broker::wakes`](crate::Broker::wakes).
#[derive(Debug)]
pub struct Wakes {
    receiver: watch::Receiver<u64>,
    closed: CancellationToken,
}

impl Wakes {
    pub(crate) fn new(hub: &Hub) -> Self {
        Self {
            receiver: hub.wakes(),
            closed: hub.closed().clone(),
        }
    }

    /// Waits for the next wake; several that came meanwhile are one. `None` when the broker handle was closed.
    ///
    /// Cancel safe. Wakes get lost while the connection is down, and one is given when it is back: tick as well.
    pub async fn next(&mut self) -> Option<()> {
        tokio::select! {
            changed = self.receiver.changed() => changed.ok(),
            () = self.closed.cancelled() => None,
        }
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
pub struct Stops {
    receiver: broadcast::Receiver<Stop>,
    closed: CancellationToken,
}

impl Stops {
    pub(crate) fn new(hub: &Hub) -> Self {
        Self {
            receiver: hub.stops(),
            closed: hub.closed().clone(),
        }
    }

    /// Waits for the next stop. `None` when the broker handle was closed.
    ///
    /// Cancel safe. A lost stop is harmless: the next renewal of the lease says the same.
    pub async fn next(&mut self) -> Option<Stop> {
        loop {
            let received = tokio::select! {
                received = self.receiver.recv() => received,
                () = self.closed.cancelled() => return None,
            };
            match received {
                Ok(stop) => return Some(stop),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(
                        missed,
                        "stops came faster than they were read; leases will tell"
                    );
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
