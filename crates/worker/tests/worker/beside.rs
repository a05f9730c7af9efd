//! What is done for an edit beside the engine holds up no other, and fails alone.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::{Failure, ModelName, Spec};
use limekiln_lime::Known;
use limekiln_worker::alone::Alone;
use limekiln_worker::{
    Beside, BoxError, Editor, Factory, Landed, Outputs, Progress, Render, RunId, Settings, Sizing,
    Work,
};
use tokio::time::timeout;

const STEPS: u32 = 3;

/// Edits of three steps. One that is asked to `wait` does so beside the engine, before its first step, until another has had all of its
/// steps; one that is asked to `panic` does that there.
struct Waiting {
    edits: HashMap<RunId, (String, u32)>,
    done: Sender<()>,
    others: Option<Receiver<()>>,
}

impl Waiting {
    fn progress(&self, run: RunId) -> Progress {
        Progress {
            stage: "edit",
            step: self.edits.get(&run).map_or(0, |(_, step)| *step),
            steps: STEPS,
        }
    }
}

impl Editor for Waiting {
    fn device(&self) -> String {
        "none".to_owned()
    }

    fn sizing(&self, _: &ModelName) -> Option<Sizing> {
        None
    }

    fn start(&mut self, run: RunId, work: Work) -> Result<Progress, Failure> {
        self.edits.insert(run, (work.spec.instruction, 0));
        Ok(self.progress(run))
    }

    fn beside(&mut self, run: RunId) -> Option<Beside> {
        let (asked, _) = self.edits.get_mut(&run)?;
        match std::mem::take(asked).as_str() {
            "wait" => {
                let others = self.others.take()?;
                Some(Box::new(move || {
                    Box::new(others.recv_timeout(PATIENCE).is_ok())
                }))
            }
            "panic" => Some(Box::new(|| panic!("ordered to panic"))),
            _ => None,
        }
    }

    fn land(&mut self, run: RunId, landed: Landed) -> Result<Progress, Failure> {
        assert!(*landed.downcast::<bool>().unwrap(), "nobody went on");
        Ok(self.progress(run))
    }

    fn step(&mut self, runs: &[RunId]) -> Vec<Result<Progress, Failure>> {
        let step = |run: &RunId| {
            if let Some((_, step)) = self.edits.get_mut(run) {
                *step += 1;
                if *step == STEPS {
                    let _ = self.done.send(());
                }
            }
            Ok(self.progress(*run))
        };
        runs.iter().map(step).collect()
    }

    fn preview(&mut self, _: RunId) -> Option<Vec<u8>> {
        None
    }

    fn save(&mut self, _: RunId) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    fn finish(&mut self, _: RunId) -> Result<Render, Failure> {
        Ok(Box::new(|_| Ok(Outputs::default())))
    }

    fn forget(&mut self, run: RunId) {
        self.edits.remove(&run);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_beside_the_engine_holds_up_no_other_edit() {
    let model = TestContext::model();
    let settings = Settings::new("tested", vec![model.clone()], "unused");
    let factory: Factory = Box::new(|| -> Result<Box<dyn Editor>, BoxError> {
        let (done, others) = channel();
        Ok(Box::new(Waiting {
            edits: HashMap::new(),
            done,
            others: Some(others),
        }))
    });
    let engine = Alone::start(factory, &settings).await.unwrap();
    let edits = ["wait", "panic", "go on"].map(|instruction| {
        engine.submit(Work {
            model: model.clone(),
            spec: Spec::new(instruction),
            input: None,
            prepared: None,
            known: Known::default(),
            saved: None,
            patched: false,
            alone: false,
            interactive: false,
        })
    });
    let mut ended = Vec::new();
    for edit in edits {
        let end = timeout(PATIENCE, edit.ended()).await.unwrap();
        ended.push(end.err().map(|failure| failure.code));
    }
    assert_eq!(ended, [None, Some("engine_panicked".to_owned()), None]);
}
