//! The engine: one thread that owns the editor, fed by a channel.
//!
//! # Layout
//!
//! - `thread`: the thread's loop
//! - `run`, `shown`: an edit in the engine; what is shown of it between two steps
//! - `order`: who is in the next call
//! - `beside`: a second thread, for what is no call of the network
//! - `guarded`: the editor as the thread calls it: timed, and with panics caught
//! - `calls`: what is computed just now, seen from other threads
//! - `channel`: the commands to the thread, and both ends of an edit's run

mod beside;
mod calls;
mod channel;
mod guarded;
mod order;
mod run;
mod shown;
#[cfg(test)]
mod tests;
mod thread;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use limekiln_jobs::ModelName;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::memory::Held;
use crate::{Error, Factory, Result, RunId, Settings, Sizing, Work};

use beside::Helper;
pub(crate) use calls::{Spent, Timers};
use channel::{Command, run_channel};
pub(crate) use channel::{Finished, RunHandle, RunProgress, Snapshot, run_result};
use thread::{EditorInfo, Intervals};

/// A handle to the engine's thread. Dropping it ends the thread as soon as the call in progress ends; nobody waits for
/// that.
#[derive(Debug)]
pub(crate) struct Engine {
    commands: Arc<mpsc::Sender<Command>>,
    pub(crate) calls: Arc<Timers>,
    pub(crate) device: String,
    sizing: HashMap<ModelName, Option<Sizing>>,
    /// Names of the models, their devices and number types.
    names: HashMap<ModelName, Option<String>>,
    /// Bytes of the process that the models hold.
    pub(crate) resident_bytes: u64,
    next_run: AtomicU64,
    lost: CancellationToken,
}

impl Engine {
    /// Starts the thread and makes the editor on it.
    ///
    /// # Errors
    ///
    /// When the editor can't be made.
    pub(crate) async fn start(factory: Factory, settings: &Settings) -> Result<Self> {
        let (commands, received) = mpsc::channel();
        let commands = Arc::new(commands);
        let (ready, editor_info) = oneshot::channel();
        let calls = Arc::new(Timers::default());
        let helper = Helper::start(Arc::clone(&calls), Arc::downgrade(&commands))
            .map_err(|error| Error::Editor(error.to_string()))?;
        let lost = CancellationToken::new();
        let intervals = Intervals {
            checkpoint_every: settings.blobs.then_some(settings.checkpoint_every),
            preview_every: settings.preview_every,
        };
        let models = settings.models.clone();
        let guard: DropGuard = lost.clone().drop_guard();
        let thread = {
            let calls = Arc::clone(&calls);
            move || {
                let _lost = guard;
                let beating = Arc::clone(&calls);
                limekiln_diffusion::pulse::listen(move || beating.engine.beat());
                thread::run(
                    factory,
                    models,
                    (received, helper),
                    &calls.engine,
                    intervals,
                    ready,
                );
            }
        };
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(thread)
            .map_err(|error| Error::Editor(error.to_string()))?;
        let EditorInfo {
            device,
            sizing,
            names,
            resident_bytes,
        } = editor_info
            .await
            .map_err(|_| Error::EngineLost)?
            .map_err(Error::Editor)?;
        Ok(Self {
            commands,
            calls,
            device,
            sizing,
            names,
            resident_bytes,
            next_run: AtomicU64::new(1),
            lost,
        })
    }

    /// How the model's pictures are sized; none where the editor wants no pixels.
    pub(crate) fn sizing(&self, model: &ModelName) -> Option<Sizing> {
        self.sizing.get(model).copied().flatten()
    }

    /// What names the model's weights, its device's kind and its number type; none where the editor computes nothing worth keeping.
    pub(crate) fn name(&self, model: &ModelName) -> Option<&str> {
        self.names.get(model)?.as_deref()
    }

    /// Gives the engine an edit that holds this, and returns the handle through which the engine reports on it.
    pub(crate) fn submit(&self, work: Work, held: Held) -> RunHandle {
        let run = RunId(self.next_run.fetch_add(1, Ordering::Relaxed));
        let (sink, handle) = run_channel(run, held, Arc::clone(&self.commands));
        let work = Box::new(work);
        // Where the thread has died, the sink is dropped here and the run ends at once.
        let _ = self.commands.send(Command::Start { run, work, sink });
        handle
    }

    /// Cancelled when the thread has ended.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}
