//! The thread beside the engine's: it encodes, makes segments, looks for objects and decodes, while the network goes on with other
//! edits. One after the other, so that what an edit's memory was taken for is all that is held.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use super::calls::Timers;
use super::channel::{Command, Landing};
use super::guarded::guarded;
use crate::{Beside, RunId};

struct Job {
    run: RunId,
    work: Beside,
    commands: Arc<Sender<Command>>,
}

/// The engine's end of the thread. Dropping it ends the thread once what it does has ended.
pub(super) struct Helper {
    jobs: Sender<Job>,
    /// Weak, so that the engine sees when nobody else is left to send commands.
    commands: Weak<Sender<Command>>,
}

impl Helper {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system has no thread left.
    pub(super) fn start(
        timers: Arc<Timers>,
        commands: Weak<Sender<Command>>,
    ) -> std::io::Result<Self> {
        let (jobs, received) = channel();
        std::thread::Builder::new()
            .name("beside".to_owned())
            .spawn(move || run(&received, &timers))?;
        Ok(Self { jobs, commands })
    }

    /// Has this done for the run. A [`Command::Landed`] follows.
    pub(super) fn take(&self, run: RunId, work: Beside) {
        // Without anybody to send commands, nobody waits for the edit.
        if let Some(commands) = self.commands.upgrade() {
            let job = Job {
                run,
                work,
                commands,
            };
            // The thread ends with this handle alone: panics are caught.
            let _ = self.jobs.send(job);
        }
    }
}

fn run(jobs: &Receiver<Job>, timers: &Arc<Timers>) {
    let beating = Arc::clone(timers);
    limekiln_diffusion::pulse::listen(move || beating.beside.beat());
    while let Ok(Job {
        run,
        work,
        commands,
    }) = jobs.recv()
    {
        let (landed, took) = guarded(&timers.beside, &[run], false, work);
        // The engine's thread may have died.
        let _ = commands.send(Command::Landed(Landing { run, landed, took }));
    }
}
