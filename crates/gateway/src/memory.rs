//! A bound on the memory of all requests together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::{Problem, ProblemCode};

/// Bytes that one permit of the semaphore stands for.
pub(crate) const UNIT_BYTES: usize = 1024;
/// How long a request waits for memory that others hold.
const WAIT: Duration = Duration::from_secs(5);

/// Memory that requests may use for their bodies and results.
#[derive(Clone)]
pub(crate) struct MemoryBudget {
    units: Arc<Semaphore>,
    units_max: usize,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let units_max = (bytes / UNIT_BYTES).clamp(1, u32::MAX as usize);
        Self {
            units: Arc::new(Semaphore::new(units_max)),
            units_max,
        }
    }

    /// Waits for room for `bytes`, or for the whole budget where that is less.
    pub(crate) async fn acquire(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, self.units_max) as u32;
        match timeout(WAIT, self.units.clone().acquire_many_owned(units)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::new(
                ProblemCode::Overloaded,
                "too many bodies are on their way: try again in a moment",
            )),
        }
    }
}
