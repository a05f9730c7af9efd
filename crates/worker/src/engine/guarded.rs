//! The editor as the thread calls it: every call is timed, and a panic fails that call alone.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use limekiln_jobs::{Failure, FailureClass};

use super::calls::CallTimer;
use crate::{Editor, Factory, Progress, RunId, metrics};

/// What a step came to for each of its runs.
type Answers = Vec<Result<Progress, Failure>>;

pub(super) struct GuardedEditor<'a> {
    editor: Box<dyn Editor>,
    timer: &'a CallTimer,
}

impl<'a> GuardedEditor<'a> {
    /// Makes the editor; the error says why it can't be made.
    pub(super) fn new(factory: Factory, timer: &'a CallTimer) -> Result<Self, String> {
        match catch_unwind(AssertUnwindSafe(factory)) {
            Ok(Ok(editor)) => Ok(Self { editor, timer }),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(format!("it panicked: {}", panic_message(panic.as_ref()))),
        }
    }

    /// The editor itself, for questions that take no time.
    pub(super) fn get(&self) -> &dyn Editor {
        self.editor.as_ref()
    }

    /// Calls the editor on behalf of these runs; returns its answer and how long that took.
    pub(super) fn call<T>(
        &mut self,
        runs: &[RunId],
        call: impl FnOnce(&mut dyn Editor) -> T,
    ) -> (Result<T, Failure>, Duration) {
        let editor = self.editor.as_mut();
        guarded(self.timer, runs, false, || call(editor))
    }

    /// Advances these runs by one step.
    pub(super) fn step(&mut self, runs: &[RunId]) -> (Result<Answers, Failure>, Duration) {
        let editor = self.editor.as_mut();
        guarded(self.timer, runs, true, || editor.step(runs))
    }
}

/// Times what is done for these runs, and makes a panic a failure.
pub(super) fn guarded<T>(
    timer: &CallTimer,
    runs: &[RunId],
    network: bool,
    call: impl FnOnce() -> T,
) -> (Result<T, Failure>, Duration) {
    timer.begin(runs, network);
    let answer = catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let message = panic_message(panic.as_ref());
        metrics::panicked();
        tracing::error!(?runs, %message, "the engine panicked");
        Failure::new(
            FailureClass::Internal,
            "engine_panicked",
            format!("the engine panicked: {message}"),
        )
    });
    (answer, timer.end())
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words".to_owned())
}
