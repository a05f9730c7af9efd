//! Failures of the engine.

use limekiln_jobs::{Failure, FailureClass};
use limekiln_lime::Error as LimeError;

use crate::prepared;

/// A failure of class user where the request can't be run, else of class internal.
pub(super) fn failure(error: LimeError) -> Failure {
    let (class, code) = match &error {
        LimeError::Preset(_) => (FailureClass::User, "preset_invalid"),
        LimeError::Request(_) => (FailureClass::User, "request_invalid"),
        LimeError::Finish(error) => {
            return prepared::failure(error.clone());
        }
        LimeError::Diffusion(_) | LimeError::Tensor(_) | LimeError::State(_) => {
            (FailureClass::Internal, "engine_failed")
        }
    };
    Failure::new(class, code, error.to_string())
}

/// The engine's thread asks for an edit that it never started or has already finished: a defect.
pub(super) fn unknown() -> Failure {
    internal("the engine was asked for an edit that it does not hold".to_owned())
}

pub(super) fn internal(message: String) -> Failure {
    Failure::new(FailureClass::Internal, "engine_confused", message)
}
