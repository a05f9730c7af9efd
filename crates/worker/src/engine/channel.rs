//! The channels between edits and the engine's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as commands;
use std::time::Duration;

use bytes::Bytes;
use limekiln_jobs::{Failure, FailureClass};
use tokio::sync::{mpsc, oneshot, watch};

use crate::memory::Held;
use crate::{Landed, Progress, Render, RunId, Work};

/// What the thread is told to do.
pub(super) enum Command {
    /// Start an edit, and report on it to the sink.
    Start {
        run: RunId,
        work: Box<Work>,
        sink: RunSink,
    },
    /// Save an edit's state now.
    Save {
        run: RunId,
        reply: oneshot::Sender<Snapshot>,
    },
    /// Forget an edit, and then give back what it holds.
    Forget { run: RunId, held: Held },
    /// Go on with an edit, for which something was done beside the engine.
    Landed(Landing),
}

/// What was done for an edit beside the engine.
pub(super) struct Landing {
    pub(super) run: RunId,
    pub(super) landed: Result<Landed, Failure>,
    pub(super) took: Duration,
}

/// An edit's state between two steps.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Steps done.
    pub(crate) step: u32,
    /// What [`crate::Editor::save`] returned.
    pub(crate) bytes: Bytes,
}

/// How a run of an edit ended: with its steps done, or with what went wrong.
pub(crate) type RunResult = Result<Finished, Failure>;

/// An edit whose steps are done: what is left to do beside the engine.
pub(crate) struct Finished {
    pub(crate) render: Render,
}

/// Where a run stands, and at which step it started or resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunProgress {
    pub(crate) first_step: u32,
    pub(crate) now: Progress,
}

/// Time that a run has taken on the device, as far as its calls have ended.
#[derive(Clone, Debug, Default)]
pub(super) struct DeviceTime(Arc<AtomicU64>);

impl DeviceTime {
    pub(super) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// The engine's end of a run. The engine must never wait for an edit's task: sends that would block are left out.
pub(super) struct RunSink {
    pub(super) progress: watch::Sender<Option<RunProgress>>,
    pub(super) snapshots: mpsc::Sender<Snapshot>,
    pub(super) previews: mpsc::Sender<(u32, Vec<u8>)>,
    pub(super) located: mpsc::Sender<Vec<u8>>,
    pub(super) result: oneshot::Sender<RunResult>,
    pub(super) device: DeviceTime,
}

impl RunSink {
    pub(super) fn progress(&self, first_step: u32, now: Progress) {
        self.progress
            .send_replace(Some(RunProgress { first_step, now }));
    }

    pub(super) fn end(self, result: RunResult) {
        // Nobody listens to an edit that was stopped.
        let _ = self.result.send(result);
    }
}

/// The edit's end of a run. Dropping it makes the engine forget the edit.
pub(crate) struct RunHandle {
    pub(crate) id: RunId,
    /// What the edit holds. Its memory is in use until the engine has let go of it, whatever its task does meanwhile.
    held: Held,
    commands: Arc<commands::Sender<Command>>,
    /// The newest progress.
    pub(crate) progress: watch::Receiver<Option<RunProgress>>,
    /// States to keep as checkpoints. The engine makes the next one when the last was received.
    pub(crate) snapshots: mpsc::Receiver<Snapshot>,
    /// Previews, with the number of steps that were done.
    pub(crate) previews: mpsc::Receiver<(u32, Vec<u8>)>,
    /// The region, once.
    pub(crate) located: mpsc::Receiver<Vec<u8>>,
    /// How the run ended; see [`run_result`].
    pub(crate) result: oneshot::Receiver<RunResult>,
    device: DeviceTime,
}

/// How the run ended. A sender that was dropped means that the engine's thread has died.
pub(crate) fn run_result(received: Result<RunResult, oneshot::error::RecvError>) -> RunResult {
    received.unwrap_or_else(|_| {
        Err(Failure::new(
            FailureClass::Internal,
            "engine_lost",
            "the engine's thread has died",
        ))
    })
}

pub(super) fn run_channel(
    id: RunId,
    held: Held,
    commands: Arc<commands::Sender<Command>>,
) -> (RunSink, RunHandle) {
    let (progress, progress_receiver) = watch::channel(None);
    // One at a time: a slow S3 means fewer checkpoints, not a growing queue of them.
    let (snapshots, snapshots_receiver) = mpsc::channel(1);
    let (previews, previews_receiver) = mpsc::channel(1);
    let (located, located_receiver) = mpsc::channel(1);
    let (result, result_receiver) = oneshot::channel();
    let device = DeviceTime::default();
    let sink = RunSink {
        progress,
        snapshots,
        previews,
        located,
        result,
        device: device.clone(),
    };
    let handle = RunHandle {
        id,
        held,
        commands,
        progress: progress_receiver,
        snapshots: snapshots_receiver,
        previews: previews_receiver,
        located: located_receiver,
        result: result_receiver,
        device,
    };
    (sink, handle)
}

impl RunHandle {
    /// The edit's state after the step in progress. None where there is nothing newer than the last snapshot, or the
    /// run has ended.
    pub(crate) async fn save(&self) -> Option<Snapshot> {
        let (reply, snapshot) = oneshot::channel();
        let run = self.id;
        self.commands.send(Command::Save { run, reply }).ok()?;
        snapshot.await.ok()
    }

    /// Time that the run has taken on the device, as far as its calls have ended.
    pub(crate) fn device(&self) -> Duration {
        self.device.get()
    }

    /// What the edit holds, once the run has ended.
    pub(crate) fn into_held(mut self) -> Held {
        std::mem::take(&mut self.held)
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        let (run, held) = (self.id, std::mem::take(&mut self.held));
        // A thread that has died has forgotten everything.
        let _ = self.commands.send(Command::Forget { run, held });
    }
}
