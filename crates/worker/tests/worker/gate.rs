//! An editor whose steps wait at a gate.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use limekiln_bench::NullEditor;
use limekiln_jobs::{Failure, ModelName};
use limekiln_worker::{BoxError, Editor, Factory, Fit, Progress, Render, RunId, Sizing, Work};

/// Shut until opened; steps pass once it is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<Steps>, Condvar)>);

#[derive(Debug, Default)]
struct Steps {
    may_pass: u32,
    passed: u32,
}

impl Gate {
    /// Lets so many more steps pass.
    pub(crate) fn open(&self, steps: u32) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().may_pass += steps;
        changed.notify_all();
    }

    /// Steps that have passed so far.
    pub(crate) fn passed(&self) -> u32 {
        self.0.0.lock().unwrap().passed
    }

    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = changed
            .wait_while(state.lock().unwrap(), |state| state.may_pass == 0)
            .unwrap();
        state.may_pass -= 1;
        state.passed += 1;
    }
}

/// The null editor behind a gate.
struct Gated {
    gate: Gate,
    inner: NullEditor,
    sizing: Option<Sizing>,
}

impl Editor for Gated {
    fn device(&self) -> String {
        "gated".to_owned()
    }

    fn sizing(&self, _: &ModelName) -> Option<Sizing> {
        self.sizing
    }

    fn fit(&self, run: RunId) -> Option<Fit> {
        self.inner.fit(run)
    }

    fn start(&mut self, run: RunId, work: Work) -> Result<Progress, Failure> {
        self.inner.start(run, work)
    }

    fn step(&mut self, runs: &[RunId]) -> Vec<Result<Progress, Failure>> {
        self.gate.pass();
        self.inner.step(runs)
    }

    fn preview(&mut self, run: RunId) -> Option<Vec<u8>> {
        self.inner.preview(run)
    }

    fn save(&mut self, run: RunId) -> Result<Option<Vec<u8>>, Failure> {
        self.inner.save(run)
    }

    fn finish(&mut self, run: RunId) -> Result<Render, Failure> {
        self.inner.finish(run)
    }

    fn forget(&mut self, run: RunId) {
        self.inner.forget(run);
    }
}

/// Edits of so many steps, each waiting for the gate.
pub(crate) fn gated(gate: &Gate, steps: u32) -> Factory {
    sized(gate, steps, None)
}

/// The same, with pictures read and sized before.
pub(crate) fn sized(gate: &Gate, steps: u32, sizing: Option<Sizing>) -> Factory {
    let gate = gate.clone();
    Box::new(move || -> Result<Box<dyn Editor>, BoxError> {
        Ok(Box::new(Gated {
            gate,
            inner: NullEditor::new(steps, Duration::ZERO),
            sizing,
        }))
    })
}

/// The null editor.
pub(crate) fn null(steps: u32, step: Duration) -> Factory {
    Box::new(move || -> Result<Box<dyn Editor>, BoxError> {
        Ok(Box::new(NullEditor::new(steps, step)))
    })
}
