//! The engine without a fleet: edits in memory, some of them in flight at a time. For benchmarks and tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use limekiln_jobs::{Failure, FailureClass, ModelName};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, RunHandle, RunProgress, run_result};
use crate::memory::Held;
use crate::{Factory, Outputs, Render, Result, Settings, Sizing, Work};

/// An engine of its own.
#[derive(Debug)]
pub struct Alone(Arc<Engine>);

/// An edit in the engine.
pub struct Submitted(RunHandle);

impl Submitted {
    /// Waits until it has done so many steps; false where it ended before.
    pub async fn reaches(&mut self, step: u32) -> bool {
        let reached = |progress: &Option<RunProgress>| {
            progress.is_some_and(|progress| progress.now.step >= step)
        };
        self.0.progress.wait_for(reached).await.is_ok()
    }

    /// Its state, for [`Work::saved`]; none where it has done nothing, or has ended.
    pub async fn saved(&self) -> Option<Bytes> {
        self.0.save().await.map(|snapshot| snapshot.bytes)
    }

    /// Waits until the engine is done with it; what is returned draws it.
    ///
    /// # Errors
    ///
    /// What went wrong.
    pub async fn ended(mut self) -> std::result::Result<Render, Failure> {
        let finished = run_result((&mut self.0.result).await)?;
        Ok(finished.render)
    }
}

/// How some edits went.
#[derive(Debug)]
pub struct Ran {
    /// What each left, in their order.
    pub outputs: Vec<std::result::Result<Outputs, Failure>>,
    /// From the first to the last.
    pub took: Duration,
    /// Calls of the network.
    pub calls: u64,
    /// Of these, for more than one edit.
    pub shared: u64,
    /// Share of the time in which the network computed.
    pub busy: f64,
}

impl Alone {
    /// Loads the editor.
    ///
    /// # Errors
    ///
    /// When it can't be made.
    pub async fn start(factory: Factory, settings: &Settings) -> Result<Self> {
        Ok(Self(Arc::new(Engine::start(factory, settings).await?)))
    }

    /// How the model's pictures are sized; none where the editor wants no pixels.
    pub fn sizing(&self, model: &ModelName) -> Option<Sizing> {
        self.0.sizing(model)
    }

    /// Gives the engine an edit. It is forgotten once what is returned is dropped.
    pub fn submit(&self, work: Work) -> Submitted {
        Submitted(self.0.submit(work, Held::default()))
    }

    /// Calls of the network so far that were for more than one edit.
    pub fn shared(&self) -> u64 {
        self.0.calls.engine.spent().shared
    }

    /// Runs these edits, so many of them in the engine at a time. As in a worker, an edit is drawn once the engine is done with it,
    /// while the next is in the engine.
    pub async fn run(&self, works: Vec<Work>, in_flight: usize) -> Ran {
        let (began, before) = (Instant::now(), self.0.calls.engine.spent());
        let computed = stream::iter(works.into_iter().enumerate())
            .map(|(index, work)| {
                let engine = Arc::clone(&self.0);
                async move {
                    let run = Submitted(engine.submit(work, Held::default()));
                    let drawn = run.ended().await.map(|render| {
                        let draw = move || render(&CancellationToken::new());
                        tokio::task::spawn_blocking(draw)
                    });
                    (index, drawn)
                }
            })
            .buffer_unordered(in_flight.max(1));
        let mut drawing: Vec<_> = computed.collect().await;
        drawing.sort_by_key(|(index, _)| *index);
        let spent = self.0.calls.engine.spent();
        let mut outputs = Vec::with_capacity(drawing.len());
        for (_, drawn) in drawing {
            outputs.push(match drawn {
                Ok(drawn) => drawn.await.unwrap_or_else(|panic| {
                    let (class, code) = (FailureClass::Internal, "drawing_panicked");
                    Err(Failure::new(class, code, panic.to_string()))
                }),
                Err(failure) => Err(failure),
            });
        }
        let took = began.elapsed();
        Ran {
            outputs,
            took,
            calls: spent.calls - before.calls,
            shared: spent.shared - before.shared,
            busy: (spent.network - before.network).as_secs_f64() / took.as_secs_f64().max(1e-9),
        }
    }
}
