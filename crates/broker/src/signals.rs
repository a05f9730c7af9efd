//! The receivers of wakes (for coordinators) and stops (for workers). Both are broadcasts that may get lost.

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::Stop;
use crate::hub::Hub;

/// Receives wakes: "there may be something to release". See [`Broker::wakes`](crate::Broker::wakes).
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

    /// Waits for the next wake. Wakes that came since the last call count as one. `None` when the broker handle was
    /// closed. Cancel safe.
    ///
    /// Wakes get lost while the connection is down, and one is given when it is back, so wait for a timer as well.
    pub async fn next(&mut self) -> Option<()> {
        let changed = self.receiver.changed();
        self.closed.run_until_cancelled(changed).await?.ok()
    }
}

/// Receives the [`Stop`]s sent to workers. See [`Broker::stops`](crate::Broker::stops).
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

    /// Waits for the next stop. `None` when the broker handle was closed. Cancel safe.
    ///
    /// A lost stop is harmless: the next renewal of the lease tells the worker the same.
    pub async fn next(&mut self) -> Option<Stop> {
        loop {
            let received = self.receiver.recv();
            match self.closed.run_until_cancelled(received).await? {
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
