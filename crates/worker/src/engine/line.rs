//! What an edit hears from the engine.

use std::sync::mpsc as commands;
use std::time::Duration;

use bytes::Bytes;
use limekiln_jobs::Failure;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Command, lost};
use crate::{Drawing, Progress, Ticket};

/// An edit's state between two steps.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    /// Steps done.
    pub(crate) step: u32,
    /// What [`crate::Editor::save`] gave.
    pub(crate) bytes: Bytes,
}

/// What became of an edit in the engine.
pub(crate) enum Ended {
    /// Its steps are done.
    Finished {
        /// What is left.
        drawing: Drawing,
        /// Time on the device.
        device: Duration,
    },
    /// It can't go on.
    Failed(Failure),
}

/// Where an edit stands, and from which step it started here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) from: u32,
    pub(crate) now: Progress,
}

/// The engine's end. Nothing here ever waits.
pub(super) struct Outlet {
    pub(super) progress: watch::Sender<Option<Seen>>,
    pub(super) saved: mpsc::Sender<Saved>,
    pub(super) previews: mpsc::Sender<(u32, Vec<u8>)>,
    pub(super) end: Option<oneshot::Sender<Ended>>,
}

/// The edit's end. Dropped, the engine forgets the edit.
pub(crate) struct Line {
    ticket: Ticket,
    commands: commands::Sender<Command>,
    /// The newest progress.
    pub(crate) progress: watch::Receiver<Option<Seen>>,
    /// Checkpoints; the next is made when the last was taken.
    pub(crate) saved: mpsc::Receiver<Saved>,
    /// Previews, with the steps that were done.
    pub(crate) previews: mpsc::Receiver<(u32, Vec<u8>)>,
    /// The end; see [`ended`].
    pub(crate) end: oneshot::Receiver<Ended>,
}

/// What the end says, or that the thread has died.
pub(crate) fn ended(end: Result<Ended, oneshot::error::RecvError>) -> Ended {
    end.unwrap_or_else(|_| Ended::Failed(lost()))
}

pub(super) fn line(ticket: Ticket, commands: commands::Sender<Command>) -> (Outlet, Line) {
    let (progress, progress_seen) = watch::channel(None);
    let (saved, saved_seen) = mpsc::channel(1);
    let (previews, previews_seen) = mpsc::channel(1);
    let (end, end_seen) = oneshot::channel();
    let outlet = Outlet {
        progress,
        saved,
        previews,
        end: Some(end),
    };
    let line = Line {
        ticket,
        commands,
        progress: progress_seen,
        saved: saved_seen,
        previews: previews_seen,
        end: end_seen,
    };
    (outlet, line)
}

impl Line {
    /// As the engine calls the edit.
    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The edit's state after the step in progress. None where it has none, or has ended.
    pub(crate) async fn save(&self) -> Option<Saved> {
        let (reply, saved) = oneshot::channel();
        let ticket = self.ticket;
        self.commands.send(Command::Save { ticket, reply }).ok()?;
        saved.await.ok()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A thread that is gone has forgotten everything.
        let _ = self.commands.send(Command::Forget(self.ticket));
    }
}
