//! The receivers of wakes (for coordinators), stops (for workers) and offers (for one worker). All of them may get lost.

use limekiln_jobs::WorkerId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::{Hint, Stop};

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

/// Receives what is offered to one worker alone. See [`Broker::offers`](crate::Broker::offers).
#[derive(Debug)]
pub struct Offers {
    worker: WorkerId,
    receiver: broadcast::Receiver<(WorkerId, Hint)>,
    closed: CancellationToken,
}

impl Offers {
    pub(crate) fn new(hub: &Hub, worker: WorkerId) -> Self {
        Self {
            worker,
            receiver: hub.offers(),
            closed: hub.closed().clone(),
        }
    }

    /// Waits for the next edit that is offered. `None` when the broker handle was closed. Cancel safe.
    ///
    /// A lost offer is harmless: what its worker does not take soon is announced to all.
    pub async fn next(&mut self) -> Option<Hint> {
        loop {
            let received = self.receiver.recv();
            match self.closed.run_until_cancelled(received).await? {
                Ok((worker, hint)) if worker == self.worker => return Some(hint),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
