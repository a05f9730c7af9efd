//! What the engine's thread does: obey, let every edit do a step, and so on.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use limekiln_jobs::{Failure, FailureClass, ModelName};
use tokio::sync::oneshot;

use super::{Command, Ended, Outlet, Pulse, Rhythm, Saved, Seen};
use crate::{Editor, Factory, Progress, Sizing, Ticket, Work, metrics};

/// What a new editor says of itself.
pub(super) type Made = (String, HashMap<ModelName, Option<Sizing>>);

/// Makes the editor, says so, and runs edits until nobody can send any more.
pub(super) fn run(
    factory: Factory,
    models: Vec<ModelName>,
    commands: Receiver<Command>,
    pulse: &Pulse,
    rhythm: Rhythm,
    ready: oneshot::Sender<Result<Made, String>>,
) {
    let editor = match catch_unwind(AssertUnwindSafe(factory)) {
        Ok(Ok(editor)) => editor,
        Ok(Err(error)) => {
            let _ = ready.send(Err(error.to_string()));
            return;
        }
        Err(panic) => {
            let _ = ready.send(Err(format!("it panicked: {}", words(panic.as_ref()))));
            return;
        }
    };
    let sizing = models
        .into_iter()
        .map(|model| {
            let sizing = editor.sizing(&model);
            (model, sizing)
        })
        .collect();
    if ready.send(Ok((editor.device(), sizing))).is_err() {
        return;
    }
    Thread {
        editor,
        commands,
        pulse,
        rhythm,
        edits: Vec::new(),
    }
    .run();
}

struct Thread<'a> {
    editor: Box<dyn Editor>,
    commands: Receiver<Command>,
    pulse: &'a Pulse,
    rhythm: Rhythm,
    edits: Vec<Active>,
}

/// An edit in the engine.
struct Active {
    ticket: Ticket,
    from: u32,
    progress: Progress,
    outlet: Outlet,
    /// Time on the device.
    device: Duration,
    saved_at: Instant,
    saved_step: u32,
    seen_at: Instant,
}

impl Thread<'_> {
    fn run(mut self) {
        loop {
            if self.edits.is_empty() {
                match self.commands.recv() {
                    Ok(command) => self.obey(command),
                    Err(_) => return,
                }
            }
            let mut rest: Vec<Ticket> = self.edits.iter().map(|edit| edit.ticket).collect();
            while !rest.is_empty() {
                if !self.obey_all() {
                    return;
                }
                let count = rest.len().min(self.editor.together().max(1));
                let chunk: Vec<Ticket> = rest.drain(..count).collect();
                self.step(chunk);
            }
        }
    }

    /// Whether anybody is left to obey.
    fn obey_all(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start {
                ticket,
                work,
                outlet,
            } => self.start(ticket, *work, outlet),
            Command::Save { ticket, reply } => {
                if let Some(index) = self.index(ticket)
                    && let Some(saved) = self.saved(index)
                {
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(saved);
                }
            }
            Command::Forget(ticket) => {
                if let Some(index) = self.index(ticket) {
                    self.edits.remove(index);
                    self.forget(ticket);
                }
            }
        }
    }

    fn start(&mut self, ticket: Ticket, work: Work, mut outlet: Outlet) {
        let (answer, took) = self.call(&[ticket], |editor| editor.start(ticket, work));
        metrics::stage("start", took);
        match answer.and_then(|answer| answer) {
            Ok(progress) => {
                outlet.progress.send_replace(Some(Seen {
                    from: progress.step,
                    now: progress,
                }));
                let now = Instant::now();
                self.edits.push(Active {
                    ticket,
                    from: progress.step,
                    progress,
                    outlet,
                    device: took,
                    saved_at: now,
                    saved_step: progress.step,
                    seen_at: now,
                });
                if progress.is_done() {
                    self.finish(ticket);
                }
            }
            Err(failure) => {
                self.forget(ticket);
                end(&mut outlet, Ended::Failed(failure));
            }
        }
    }

    /// One step of each of these, as far as they are still here.
    fn step(&mut self, mut chunk: Vec<Ticket>) {
        chunk.retain(|ticket| self.index(*ticket).is_some());
        if chunk.is_empty() {
            return;
        }
        let (answers, took) = self.call(&chunk, |editor| editor.step(&chunk));
        metrics::steps(chunk.len(), took);
        let each = took / u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let answers = match answers {
            Ok(answers) => answers,
            Err(failure) => chunk.iter().map(|_| Err(failure.clone())).collect(),
        };
        for (&ticket, answer) in chunk.iter().zip(answers) {
            let Some(index) = self.index(ticket) else {
                continue;
            };
            self.edits[index].device += each;
            match answer {
                Ok(progress) => {
                    let edit = &mut self.edits[index];
                    edit.progress = progress;
                    edit.outlet.progress.send_replace(Some(Seen {
                        from: edit.from,
                        now: progress,
                    }));
                    if progress.is_done() {
                        self.finish(ticket);
                    } else {
                        self.look_after(index);
                    }
                }
                Err(failure) => {
                    let mut edit = self.edits.remove(index);
                    self.forget(ticket);
                    end(&mut edit.outlet, Ended::Failed(failure));
                }
            }
        }
    }

    /// Saves and shows an edit when it is time to, and when somebody takes it.
    fn look_after(&mut self, index: usize) {
        let edit = &self.edits[index];
        if let Some(every) = self.rhythm.checkpoint_every
            && edit.saved_at.elapsed() >= every
            && edit.outlet.saved.capacity() > 0
        {
            self.edits[index].saved_at = Instant::now();
            if let Some(saved) = self.saved(index) {
                let _ = self.edits[index].outlet.saved.try_send(saved);
            }
        }
        let edit = &self.edits[index];
        if edit.seen_at.elapsed() >= self.rhythm.preview_every
            && edit.outlet.previews.capacity() > 0
        {
            let (ticket, step) = (edit.ticket, edit.progress.step);
            let (answer, took) = self.call(&[ticket], |editor| editor.preview(ticket));
            metrics::stage("preview", took);
            let edit = &mut self.edits[index];
            edit.seen_at = Instant::now();
            edit.device += took;
            if let Ok(Some(jpeg)) = answer {
                let _ = edit.outlet.previews.try_send((step, jpeg));
            }
        }
    }

    /// The edit's state, unless it is the one that was saved last.
    fn saved(&mut self, index: usize) -> Option<Saved> {
        let (ticket, step) = (self.edits[index].ticket, self.edits[index].progress.step);
        if step <= self.edits[index].saved_step {
            return None;
        }
        let (answer, took) = self.call(&[ticket], |editor| editor.save(ticket));
        metrics::stage("save", took);
        self.edits[index].device += took;
        match answer.and_then(|answer| answer) {
            Ok(bytes) => {
                self.edits[index].saved_step = step;
                let bytes = Bytes::from(bytes?);
                Some(Saved { step, bytes })
            }
            Err(failure) => {
                // The edit itself may well go on; a later checkpoint may work.
                tracing::warn!(%ticket, %failure, "no checkpoint");
                None
            }
        }
    }

    fn finish(&mut self, ticket: Ticket) {
        let Some(index) = self.index(ticket) else {
            return;
        };
        let mut edit = self.edits.remove(index);
        let (answer, took) = self.call(&[ticket], |editor| editor.finish(ticket));
        metrics::stage("finish", took);
        let ended = match answer.and_then(|answer| answer) {
            Ok(drawing) => Ended::Finished {
                drawing,
                device: edit.device + took,
            },
            Err(failure) => {
                self.forget(ticket);
                Ended::Failed(failure)
            }
        };
        end(&mut edit.outlet, ended);
    }

    fn forget(&mut self, ticket: Ticket) {
        if let (Err(failure), _) = self.call(&[ticket], |editor| editor.forget(ticket)) {
            tracing::error!(%ticket, %failure, "the engine can't forget an edit");
        }
    }

    fn index(&self, ticket: Ticket) -> Option<usize> {
        self.edits.iter().position(|edit| edit.ticket == ticket)
    }

    /// Calls the editor under the pulse; a panic is a failure of the call alone.
    fn call<T>(
        &mut self,
        tickets: &[Ticket],
        what: impl FnOnce(&mut dyn Editor) -> T,
    ) -> (Result<T, Failure>, Duration) {
        self.pulse.begin(tickets);
        let editor = self.editor.as_mut();
        let answer = catch_unwind(AssertUnwindSafe(|| what(editor))).map_err(|panic| {
            let words = words(panic.as_ref());
            metrics::panicked();
            tracing::error!(?tickets, %words, "the engine panicked");
            Failure::new(
                FailureClass::Internal,
                "engine_panicked",
                format!("the engine panicked: {words}"),
            )
        });
        (answer, self.pulse.end())
    }
}

fn end(outlet: &mut Outlet, ended: Ended) {
    if let Some(sender) = outlet.end.take() {
        // Nobody listens to an edit that was stopped.
        let _ = sender.send(ended);
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words".to_owned())
}
