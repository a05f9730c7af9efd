//! What the engine's thread asks of an editor, and what goes in and comes out.

use std::fmt;

use bytes::Bytes;
use limekiln_jobs::{ArtifactKind, Failure, ModelName, Spec};
use serde_json::Value;

use crate::prepared::{Prepared, Sizing};

/// An error that will only be shown.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the editor on the engine's thread, which the editor never leaves.
pub type Factory = Box<dyn FnOnce() -> Result<Box<dyn Editor>, BoxError> + Send>;

/// One claim of an edit, as the engine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an edit is computed from. The result is a function of this and of the model alone.
#[derive(Debug)]
pub struct Work {
    /// The name of the model.
    pub model: ModelName,
    /// What the user asked for.
    pub spec: Spec,
    /// The input as it came, where blobs are used.
    pub input: Option<Bytes>,
    /// The input read and made into a request, where the editor wants pixels.
    pub prepared: Option<Prepared>,
    /// What [`Editor::save`] gave to an earlier attempt. The editor starts over where it can't use that.
    pub saved: Option<Bytes>,
}

/// Where an edit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Name of the current stage, as events show it.
    pub stage: &'static str,
    /// Steps done of the whole edit.
    pub step: u32,
    /// Steps of the whole edit.
    pub steps: u32,
}

impl Progress {
    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.step >= self.steps
    }
}

/// A picture or report that an edit leaves.
#[derive(Clone, Debug)]
pub struct Output {
    /// What the file shows.
    pub kind: ArtifactKind,
    /// The file.
    pub body: Bytes,
    /// Width and height in pixels, of a picture.
    pub size: Option<(u32, u32)>,
}

/// The files and the report of a finished edit.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// At most one of each kind.
    pub files: Vec<Output>,
    /// The engine's report.
    pub report: Option<Value>,
}

/// The rest of an edit, done without the engine: the result is put together, stages are painted, files encoded.
pub type Drawing = Box<dyn FnOnce() -> Result<Outputs, Failure> + Send>;

/// Runs edits, step by step, on one thread. Between two steps an edit can be saved, stopped or looked at.
pub trait Editor {
    /// What it computes on, for people.
    fn device(&self) -> String;

    /// How the model's pictures are to be sized; none where the editor wants no pixels.
    fn sizing(&self, model: &ModelName) -> Option<Sizing>;

    /// How many edits a call of [`Editor::step`] takes.
    fn together(&self) -> usize {
        1
    }

    /// Takes an edit.
    ///
    /// # Errors
    ///
    /// Of class user where the edit can't be made, of class internal where the engine fails.
    fn start(&mut self, ticket: Ticket, work: Work) -> Result<Progress, Failure>;

    /// One step of each of these edits; answers are in their order. None of them is done.
    fn step(&mut self, tickets: &[Ticket]) -> Vec<Result<Progress, Failure>>;

    /// The edit as it looks now: a JPEG of at most 4 KB. None where there is nothing to show.
    fn preview(&mut self, ticket: Ticket) -> Option<Vec<u8>>;

    /// All that the next step reads, for another worker to go on from. None where there is nothing worth keeping.
    ///
    /// # Errors
    ///
    /// When the engine fails.
    fn save(&mut self, ticket: Ticket) -> Result<Option<Vec<u8>>, Failure>;

    /// Decodes an edit whose steps are done, and forgets it.
    ///
    /// # Errors
    ///
    /// When the engine fails.
    fn finish(&mut self, ticket: Ticket) -> Result<Drawing, Failure>;

    /// Drops an edit that is not to be finished.
    fn forget(&mut self, ticket: Ticket);
}
