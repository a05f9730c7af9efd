//! Why an attempt ends without results.

use limekiln_jobs::{Failure, FailureClass, Needs};

use crate::engine::Snapshot;
use crate::leases::Interrupt;
use crate::resolve::Unready;

/// Why an attempt ends without results.
pub(super) enum Abort {
    /// Something went wrong, by the user's fault or by ours.
    Failed(Failure),
    /// The edit was stopped here, or its lease is to be handed back.
    Interrupted(Interrupt),
    /// It stepped aside in the engine, in this state where there is a newer one than the last checkpoint.
    Aside(Option<Snapshot>),
    /// It needs what this worker does not know.
    Unable(Needs),
}

/// A write was refused because this worker no longer holds the lease. The edit stops here.
pub(super) struct LeaseLost;

impl From<Failure> for Abort {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Unready> for Abort {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Failed(failure) => Self::Failed(failure),
            Unready::Unable(needs) => Self::Unable(needs),
        }
    }
}

impl From<Interrupt> for Abort {
    fn from(interrupt: Interrupt) -> Self {
        Self::Interrupted(interrupt)
    }
}

impl From<LeaseLost> for Abort {
    fn from(LeaseLost: LeaseLost) -> Self {
        Self::Interrupted(Interrupt::Stop)
    }
}

/// A failure that is not the user's.
pub(super) fn internal(code: &str, message: String) -> Failure {
    Failure::new(FailureClass::Internal, code, message)
}
