use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use limekiln_jobs::{Failure, ModelName, Spec};
use limekiln_lime::Known;
use limekiln_memory::Budget;
use tokio::time::timeout;

use super::Engine;
use crate::memory::{Held, Need};
use crate::{BoxError, Editor, Factory, Outputs, Progress, Render, RunId, Settings, Sizing, Work};

const SIZING: Sizing = Sizing {
    side_px: 64,
    factor: 8,
    pixel_bytes: 1 << 10,
    speed: None,
};

/// Says when a step begins, and waits for leave to end it.
struct Stepper {
    begun: Sender<()>,
    leave: Receiver<()>,
}

impl Editor for Stepper {
    fn device(&self) -> String {
        "none".to_owned()
    }

    fn sizing(&self, _: &ModelName) -> Option<Sizing> {
        Some(SIZING)
    }

    fn start(&mut self, _: RunId, _: Work) -> Result<Progress, Failure> {
        Ok(Progress {
            stage: "edit",
            step: 0,
            steps: 9,
        })
    }

    fn step(&mut self, runs: &[RunId]) -> Vec<Result<Progress, Failure>> {
        self.begun.send(()).unwrap();
        self.leave.recv().unwrap();
        runs.iter()
            .map(|_| {
                Ok(Progress {
                    stage: "edit",
                    step: 1,
                    steps: 9,
                })
            })
            .collect()
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

    fn forget(&mut self, _: RunId) {}
}

#[tokio::test]
async fn what_a_stopped_edit_holds_is_free_once_the_engine_has_let_go_of_it() {
    let (begun, steps) = channel();
    let (let_go, leave) = channel();
    let model: ModelName = "rooms".parse().unwrap();
    let settings = Settings::new("tested", vec![model.clone()], "unused");
    let factory: Factory = Box::new(move || -> Result<Box<dyn Editor>, BoxError> {
        Ok(Box::new(Stepper { begun, leave }))
    });
    let engine = Engine::start(factory, &settings).await.unwrap();

    let need = Need::at(64 * 64, SIZING);
    let budget = Budget::new(need.whole());
    let held = Held::take(&budget, need).await.unwrap();
    let work = Work {
        model,
        spec: Spec::new("anything"),
        input: None,
        prepared: None,
        known: Known::default(),
        saved: None,
        patched: false,
        alone: false,
        interactive: false,
    };
    let run = engine.submit(work, held);
    steps.recv().unwrap();
    drop(run);
    assert_eq!(budget.free(), 0, "the step goes on, on its picture");
    let_go.send(()).unwrap();
    // It comes back without any other edit's call.
    let freed = timeout(Duration::from_secs(60), budget.share(need.whole()));
    freed.await.unwrap().unwrap();
}
