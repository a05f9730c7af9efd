//! What the engine's thread runs.
//!
//! # Layout
//!
//! - `lime`: the method, on one or more models
//! - `null`: everything but the pixels

mod lime;
mod null;

use std::fmt;

use bytes::Bytes;
use limekiln_jobs::{ArtifactKind, Failure, ModelName, Spec};
use serde_json::Value;

use crate::Pixels;

pub use lime::{LimeEditor, LimeModel};
pub use null::NullEditor;

/// Any error, on its way to a message.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the editor, on the engine's own thread, which it never leaves.
pub type Factory = Box<dyn FnOnce() -> Result<Box<dyn Editor>, BoxError> + Send>;

/// One claim of an edit, as the engine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a model's pictures are sized before the engine sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Bound on the longer side where the edit names none, in pixels.
    pub side_px: u32,
    /// Sides are multiples of this.
    pub factor: u32,
}

/// What an edit is computed from. The result is a function of this and of the model alone.
#[derive(Debug)]
pub struct Work {
    /// The model asked for.
    pub model: ModelName,
    /// What to do.
    pub spec: Spec,
    /// The input as it came, where blobs are used.
    pub input: Option<Bytes>,
    /// The input read and sized, where the editor wants pixels.
    pub pixels: Option<Pixels>,
    /// What [`Editor::save`] gave to an earlier attempt. One that can't be used means starting over.
    pub saved: Option<Bytes>,
}

/// Where an edit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
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
    /// Which.
    pub kind: ArtifactKind,
    /// The file.
    pub body: Bytes,
    /// Width and height in pixels, of a picture.
    pub size: Option<(u32, u32)>,
}

/// All that an edit leaves.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// At most one of each kind.
    pub files: Vec<Output>,
    /// The engine's report.
    pub report: Option<Value>,
}

/// What is left to do without the engine: pictures laid over each other, painted and encoded.
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
    /// What is wrong with the edit (class user) or with the engine (class internal).
    fn start(&mut self, ticket: Ticket, work: Work) -> Result<Progress, Failure>;

    /// One step of each of these edits; answers are in their order. None of them is done.
    fn step(&mut self, tickets: &[Ticket]) -> Vec<Result<Progress, Failure>>;

    /// The edit as it looks now: a JPEG of at most 4 KB. None where there is nothing to see.
    fn preview(&mut self, ticket: Ticket) -> Option<Vec<u8>>;

    /// All that the next step reads. None where the edit has nothing worth keeping.
    ///
    /// # Errors
    ///
    /// Of the engine.
    fn save(&mut self, ticket: Ticket) -> Result<Option<Vec<u8>>, Failure>;

    /// Decodes an edit whose steps are done, and forgets it.
    ///
    /// # Errors
    ///
    /// Of the engine.
    fn finish(&mut self, ticket: Ticket) -> Result<Drawing, Failure>;

    /// Forgets an edit.
    fn forget(&mut self, ticket: Ticket);
}
