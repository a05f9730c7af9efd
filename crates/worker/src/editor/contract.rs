//! The contract between the engine's thread and an editor: what an editor is given, and what it gives back.

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use limekiln_jobs::{ArtifactKind, Failure, FailureClass, ModelName, Spec};
use limekiln_lime::Known;
use limekiln_lime::known::{Key, Kind};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::prepared::{Prepared, Sizing};

/// Why an editor can't be made. It is only ever printed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the editor on the engine's own thread, which the editor never leaves.
pub type Factory = Box<dyn FnOnce() -> Result<Box<dyn Editor>, BoxError> + Send>;

/// Identifies one run of an edit in the engine. An edit that is claimed again is another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub(crate) u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an edit is computed from. The result is a function of this and of the model alone.
#[derive(Debug)]
pub struct Work {
    /// The model that the edit asks for.
    pub model: ModelName,
    /// What the user asks for.
    pub spec: Spec,
    /// The input file as it was uploaded; none where the worker uses no blobs.
    pub input: Option<Bytes>,
    /// The input made into a request; none where the editor wants no pixels.
    pub prepared: Option<Prepared>,
    /// What earlier edits of the picture computed, so that this one need not.
    pub known: Known,
    /// What [`Editor::save`] returned in an earlier attempt. A checkpoint that can't be used means starting over.
    pub saved: Option<Bytes>,
    /// Whether only what it changes of its input is to be left, where that can be told.
    pub patched: bool,
    /// No other edit may be in its calls: the engine hung on it before, or hung or panicked on it among others.
    pub alone: bool,
    /// Somebody waits for it: its steps come before those of edits that nobody waits for.
    pub interactive: bool,
}

/// What an edit's next step takes of a call of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Edits of one kind can share a call: of one model, and one height and width.
    pub kind: [usize; 3],
    /// How much it adds to the call, in units that the editor chooses.
    pub work: u64,
    /// So much a call does at most before it is better to make two.
    pub most: u64,
}

/// What comes next for an edit and is no call of the network. It runs on another thread, while the engine goes on with other edits.
pub type Beside = Box<dyn FnOnce() -> Landed + Send>;

/// What came of that; the editor knows what it is.
pub type Landed = Box<dyn Any + Send>;

/// Where an edit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The stage that the next step belongs to, as events name it.
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

/// One file that an edit leaves: a picture or its report.
#[derive(Clone, Debug)]
pub struct Output {
    /// Which of the edit's artifacts it is.
    pub kind: ArtifactKind,
    /// The encoded file.
    pub body: Bytes,
    /// Width and height in pixels; none for what is no picture.
    pub size: Option<(u32, u32)>,
}

/// Everything that an edit leaves.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// The files, at most one of each kind.
    pub files: Vec<Output>,
    /// The engine's report, as the edit's row keeps it.
    pub report: Option<Value>,
    /// What it computed of the picture, for further edits of it.
    pub made: Vec<(Kind, Bytes)>,
    /// The name of the matte among it, which is not known before the edit is done.
    pub matte: Option<Key>,
}

/// The rest of an edit, which needs no engine: it composes, paints and encodes pictures on another thread, while the
/// engine goes on with the next edit.
/// Where nobody waits for it any more, the token is cancelled, and it may end early.
pub type Render = Box<dyn FnOnce(&CancellationToken) -> Result<Outputs, Failure> + Send>;

/// Runs edits step by step, on one thread. Between two steps, an edit can be saved, previewed or forgotten.
pub trait Editor {
    /// The device that it computes on, for logs and lists of workers.
    fn device(&self) -> String;

    /// How the model's pictures are to be sized; none where the editor wants no pixels.
    fn sizing(&self, model: &ModelName) -> Option<Sizing>;

    /// What names the model's weights, its device's kind and its number type: edits share what they compute under one name. None
    /// where they share nothing.
    fn name(&self, _model: &ModelName) -> Option<String> {
        None
    }

    /// Bytes of the process that its models hold for good.
    fn resident_bytes(&self) -> u64 {
        0
    }

    /// What the edit's next step takes of a call; none where it must have one of its own.
    fn fit(&self, _run: RunId) -> Option<Fit> {
        None
    }

    /// What is to be done for the edit before its next step, or before [`Editor::finish`], beside the engine. Until that has landed,
    /// the edit is left alone, or forgotten. None where nothing is.
    fn beside(&mut self, _run: RunId) -> Option<Beside> {
        None
    }

    /// Takes back what came of [`Editor::beside`].
    ///
    /// # Errors
    ///
    /// What went wrong there.
    fn land(&mut self, _run: RunId, _landed: Landed) -> Result<Progress, Failure> {
        Err(Failure::new(
            FailureClass::Internal,
            "engine_confused",
            "the engine was brought what it had not asked for",
        ))
    }

    /// Takes an edit, and resumes it where a checkpoint came with it. Where [`Editor::beside`] has to do something for it first, its
    /// progress counts from when that has landed.
    ///
    /// # Errors
    ///
    /// What is wrong with the edit (class user) or with the engine (class internal).
    fn start(&mut self, run: RunId, work: Work) -> Result<Progress, Failure>;

    /// Advances each of these edits by one step, in one call: they are of one kind, unless there is only one; the answers are in
    /// their order. None of the edits is done. What happens to one of them must not change what comes of the others.
    fn step(&mut self, runs: &[RunId]) -> Vec<Result<Progress, Failure>>;

    /// The edit as it looks now: a JPEG of at most 4 KB. None where there is nothing to show.
    fn preview(&mut self, run: RunId) -> Option<Vec<u8>>;

    /// Where the edit will change its picture, once that is known: a PNG of a few hundred bytes, white inside.
    fn located(&mut self, _run: RunId) -> Option<Vec<u8>> {
        None
    }

    /// Everything that the next step reads. None where the edit has nothing worth a checkpoint.
    ///
    /// # Errors
    ///
    /// What is wrong with the engine.
    fn save(&mut self, run: RunId) -> Result<Option<Vec<u8>>, Failure>;

    /// Forgets an edit of which all is done, and says what is left to draw.
    ///
    /// # Errors
    ///
    /// What is wrong with the engine.
    fn finish(&mut self, run: RunId) -> Result<Render, Failure>;

    /// Forgets an edit that was stopped or has failed.
    fn forget(&mut self, run: RunId);
}
