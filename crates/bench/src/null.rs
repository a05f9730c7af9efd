//! An editor without pixels: for load tests, and for tests of faults.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use limekiln_jobs::{ArtifactKind, Failure, FailureClass, ModelName};
use limekiln_worker::{Editor, Fit, Output, Outputs, Progress, Render, RunId, Sizing, Work};
use serde_json::json;

/// Takes its time and computes nothing. The result of an edit is its input, or a PNG of one pixel where that is none.
///
/// An instruction that starts with `null:` is a script, of these words:
///
/// | word | what happens |
/// |---|---|
/// | `steps=N`, `step_ms=N` | in place of the editor's own |
/// | `refuse` | the edit fails at its start, by the user's fault |
/// | `fail` | the edit fails after its first step, by ours |
/// | `panic` | the engine panics after the first step |
/// | `hang` | a step after the first never ends |
/// | `abort` | the process dies after the first step |
#[derive(Debug)]
pub struct NullEditor {
    steps: u32,
    step: Duration,
    edits: HashMap<RunId, NullEdit>,
}

#[derive(Debug)]
struct NullEdit {
    step: u32,
    steps: u32,
    /// In place of the editor's own.
    step_time: Option<Duration>,
    fault: Option<Fault>,
    input: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refuse,
    Fail,
    Panic,
    Hang,
    Abort,
}

/// What a script starts with.
const SCRIPT: &str = "null:";
/// One pixel.
const DOT: &[u8] = include_bytes!("dot.png");
/// First bytes of a PNG.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

impl NullEditor {
    /// An editor whose edits have so many steps, each taking so long for all edits together.
    pub fn new(steps: u32, step: Duration) -> Self {
        Self {
            steps,
            step,
            edits: HashMap::new(),
        }
    }
}

impl NullEdit {
    fn script(&mut self, instruction: &str) {
        let Some(script) = instruction.trim().strip_prefix(SCRIPT) else {
            return;
        };
        for word in script.split_whitespace() {
            match word.split_once('=') {
                Some(("steps", number)) => self.steps = number.parse().unwrap_or(self.steps),
                Some(("step_ms", number)) => {
                    self.step_time = number.parse().ok().map(Duration::from_millis);
                }
                _ => {
                    self.fault = match word {
                        "refuse" => Some(Fault::Refuse),
                        "fail" => Some(Fault::Fail),
                        "panic" => Some(Fault::Panic),
                        "hang" => Some(Fault::Hang),
                        "abort" => Some(Fault::Abort),
                        _ => self.fault,
                    }
                }
            }
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            stage: "edit",
            step: self.step,
            steps: self.steps,
        }
    }

    fn step(&mut self) -> Result<Progress, Failure> {
        self.step += 1;
        if self.step > 1 {
            match self.fault {
                Some(Fault::Fail) => {
                    return Err(Failure::new(
                        FailureClass::Internal,
                        "null_failed",
                        "ordered to fail",
                    ));
                }
                Some(Fault::Panic) => panic_scripted(),
                Some(Fault::Hang) => hang(),
                Some(Fault::Abort) => std::process::abort(),
                Some(Fault::Refuse) | None => {}
            }
        }
        Ok(self.progress())
    }
}

#[expect(
    clippy::panic,
    reason = "an engine that panics is what the script asks for"
)]
fn panic_scripted() -> ! {
    panic!("ordered to panic")
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

impl Editor for NullEditor {
    fn device(&self) -> String {
        "null".to_owned()
    }

    fn sizing(&self, _: &ModelName) -> Option<Sizing> {
        None
    }

    fn fit(&self, _: RunId) -> Option<Fit> {
        Some(Fit {
            kind: [0; 3],
            work: 1,
            most: u64::MAX,
        })
    }

    fn start(&mut self, run: RunId, work: Work) -> Result<Progress, Failure> {
        let mut edit = NullEdit {
            step: 0,
            steps: self.steps,
            step_time: None,
            fault: None,
            input: work.input,
        };
        edit.script(&work.spec.instruction);
        if edit.fault == Some(Fault::Refuse) {
            return Err(Failure::new(
                FailureClass::User,
                "null_refused",
                "ordered to refuse",
            ));
        }
        if let Some(saved) = work.saved {
            let step: Option<[u8; 4]> = saved.as_ref().try_into().ok();
            edit.step = step.map_or(0, u32::from_le_bytes).min(edit.steps);
        }
        let progress = edit.progress();
        self.edits.insert(run, edit);
        Ok(progress)
    }

    fn step(&mut self, runs: &[RunId]) -> Vec<Result<Progress, Failure>> {
        let began = Instant::now();
        let mut longest = Duration::ZERO;
        let answers = runs
            .iter()
            .map(|run| {
                let edit = self.edits.get_mut(run).ok_or_else(unknown)?;
                longest = longest.max(edit.step_time.unwrap_or(self.step));
                edit.step()
            })
            .collect();
        std::thread::sleep(longest.saturating_sub(began.elapsed()));
        answers
    }

    fn preview(&mut self, _: RunId) -> Option<Vec<u8>> {
        None
    }

    fn save(&mut self, run: RunId) -> Result<Option<Vec<u8>>, Failure> {
        let edit = self.edits.get(&run).ok_or_else(unknown)?;
        Ok(Some(edit.step.to_le_bytes().to_vec()))
    }

    fn finish(&mut self, run: RunId) -> Result<Render, Failure> {
        let edit = self.edits.remove(&run).ok_or_else(unknown)?;
        Ok(Box::new(move |_| {
            let body = match edit.input {
                Some(input) if input.starts_with(PNG) => input,
                _ => Bytes::from_static(DOT),
            };
            Ok(Outputs {
                files: vec![Output {
                    kind: ArtifactKind::Result,
                    body,
                    size: None,
                }],
                report: Some(json!({ "editor": "null", "steps": edit.steps })),
                made: Vec::new(),
                matte: None,
            })
        }))
    }

    fn forget(&mut self, run: RunId) {
        self.edits.remove(&run);
    }
}

/// The engine asks for what it was not given: a defect.
fn unknown() -> Failure {
    Failure::new(
        FailureClass::Internal,
        "engine_confused",
        "the engine was asked for an edit that it does not hold",
    )
}
