//! The engine: one thread that owns the editor, fed by a channel.
//!
//! # Layout
//!
//! - `thread`: what the thread does
//! - `line`: what an edit hears from it
//! - `pulse`: whether it still beats

mod line;
mod pulse;
mod thread;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use limekiln_jobs::{Failure, FailureClass, ModelName};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Error, Factory, Result, Settings, Sizing, Ticket, Work};

pub(crate) use line::{Ended, Line, Saved, ended};
use line::{Outlet, Seen};
pub(crate) use pulse::Pulse;

/// What the thread is told.
enum Command {
    /// Take an edit.
    Start {
        ticket: Ticket,
        work: Box<Work>,
        outlet: Outlet,
    },
    /// Save an edit now.
    Save {
        ticket: Ticket,
        reply: oneshot::Sender<Saved>,
    },
    /// Forget an edit.
    Forget(Ticket),
}

/// How often the thread does what nobody asks for.
#[derive(Clone, Copy, Debug)]
struct Rhythm {
    /// None where nothing is kept.
    checkpoint_every: Option<Duration>,
    preview_every: Duration,
}

/// The editor's thread, from outside. Dropped, the thread ends as soon as its call does; nobody waits for that.
#[derive(Debug)]
pub(crate) struct Engine {
    commands: mpsc::Sender<Command>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) device: String,
    sizing: HashMap<ModelName, Option<Sizing>>,
    tickets: AtomicU64,
    lost: CancellationToken,
}

impl Engine {
    /// Starts the thread and makes the editor on it.
    ///
    /// # Errors
    ///
    /// When the editor can't be made.
    pub(crate) async fn start(factory: Factory, settings: &Settings) -> Result<Self> {
        let (commands, orders) = mpsc::channel();
        let (ready, made) = oneshot::channel();
        let pulse = Arc::new(Pulse::default());
        let lost = CancellationToken::new();
        let rhythm = Rhythm {
            checkpoint_every: settings.blobs.then_some(settings.checkpoint_every),
            preview_every: settings.preview_every,
        };
        let models = settings.models.clone();
        let guard: DropGuard = lost.clone().drop_guard();
        let thread = {
            let pulse = Arc::clone(&pulse);
            move || {
                let _lost = guard;
                thread::run(factory, models, orders, &pulse, rhythm, ready);
            }
        };
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(thread)
            .map_err(|error| Error::Editor(error.to_string()))?;
        let made = made.await.map_err(|_| Error::EngineLost)?;
        let (device, sizing) = made.map_err(Error::Editor)?;
        Ok(Self {
            commands,
            pulse,
            device,
            sizing,
            tickets: AtomicU64::new(1),
            lost,
        })
    }

    /// How the model's pictures are sized; none where the editor wants no pixels.
    pub(crate) fn sizing(&self, model: &ModelName) -> Option<Sizing> {
        self.sizing.get(model).copied().flatten()
    }

    /// Gives the engine an edit; the answers come down the line.
    pub(crate) fn submit(&self, work: Work) -> Line {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        let (outlet, line) = line::line(ticket, self.commands.clone());
        let work = Box::new(work);
        // With the thread gone, the line ends at once.
        let _ = self.commands.send(Command::Start {
            ticket,
            work,
            outlet,
        });
        line
    }

    /// Ends when the thread has.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

fn lost() -> Failure {
    Failure::new(
        FailureClass::Internal,
        "engine_lost",
        "the engine's thread has died",
    )
}
