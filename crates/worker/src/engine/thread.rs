//! The engine's thread: carries out commands, and advances every edit that it holds by one step in turn.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use limekiln_jobs::{FailureClass, ModelName};
use tokio::sync::oneshot;

use super::calls::CallTimer;
use super::channel::{Command, Finished, RunSink, Snapshot};
use super::guarded::GuardedEditor;
use crate::{Factory, Progress, RunId, Sizing, Work, metrics};

/// What an editor says of itself once it is made.
pub(super) struct EditorInfo {
    pub(super) device: String,
    /// How it wants the pictures of each model sized.
    pub(super) sizing: HashMap<ModelName, Option<Sizing>>,
    /// Names of the models, their devices and number types.
    pub(super) names: HashMap<ModelName, Option<String>>,
    /// Bytes of the process that its models hold.
    pub(super) resident_bytes: u64,
}

/// How often the thread saves and previews an edit without being asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    /// None where no checkpoints are kept.
    pub(super) checkpoint_every: Option<Duration>,
    pub(super) preview_every: Duration,
}

/// Makes the editor, reports how that went, and runs edits until every handle to the engine is dropped.
pub(super) fn run(
    factory: Factory,
    models: Vec<ModelName>,
    commands: Receiver<Command>,
    calls: &CallTimer,
    intervals: Intervals,
    ready: oneshot::Sender<Result<EditorInfo, String>>,
) {
    let editor = match GuardedEditor::new(factory, calls) {
        Ok(editor) => editor,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let names = models
        .iter()
        .map(|model| (model.clone(), editor.get().name(model)))
        .collect();
    let sizing = models
        .into_iter()
        .map(|model| {
            let sizing = editor.get().sizing(&model);
            (model, sizing)
        })
        .collect();
    let info = EditorInfo {
        device: editor.get().device(),
        sizing,
        names,
        resident_bytes: editor.get().resident_bytes(),
    };
    if ready.send(Ok(info)).is_err() {
        return;
    }
    EngineThread {
        editor,
        commands,
        intervals,
        runs: Vec::new(),
    }
    .run();
}

struct EngineThread<'a> {
    editor: GuardedEditor<'a>,
    commands: Receiver<Command>,
    intervals: Intervals,
    runs: Vec<Run>,
}

/// An edit in the engine.
struct Run {
    id: RunId,
    first_step: u32,
    progress: Progress,
    sink: RunSink,
    alone: bool,
    saved_at: Instant,
    saved_step: u32,
    /// None until there was something to see.
    previewed_at: Option<Instant>,
    /// Whether the region was told.
    located: bool,
}

impl EngineThread<'_> {
    /// Gives every edit one step a round. Commands are carried out between any two calls of the editor, so that a stop
    /// or a request to save waits for one step at most.
    fn run(mut self) {
        loop {
            if self.runs.is_empty() {
                match self.commands.recv() {
                    Ok(command) => self.handle(command),
                    Err(_) => return,
                }
            }
            let mut round: Vec<RunId> = self.runs.iter().map(|run| run.id).collect();
            while !round.is_empty() {
                if !self.handle_pending() {
                    return;
                }
                let batch = self.batch(&mut round);
                self.step(batch);
            }
        }
    }

    /// Takes the edits of the next call from the round: as many as a call takes, or one that must compute alone.
    fn batch(&self, round: &mut Vec<RunId>) -> Vec<RunId> {
        let most = self.editor.get().batch_max().max(1);
        let alone = |id: &RunId| self.index(*id).is_some_and(|index| self.runs[index].alone);
        let together = round.iter().take(most).take_while(|id| !alone(id)).count();
        round.drain(..together.max(1)).collect()
    }

    /// Carries out the commands that have come. False once nobody is left to send any.
    fn handle_pending(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.handle(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Start { run, work, sink } => self.start(run, *work, sink),
            Command::Save { run, reply } => {
                if let Some(index) = self.index(run)
                    && let Some(snapshot) = self.snapshot(index)
                {
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(snapshot);
                }
            }
            Command::Forget { run, held } => {
                if let Some(index) = self.index(run) {
                    self.runs.remove(index);
                    self.forget(run);
                }
                drop(held);
            }
        }
    }

    fn start(&mut self, id: RunId, work: Work, sink: RunSink) {
        let alone = work.alone;
        let (started, took) = self.editor.call(&[id], |editor| editor.start(id, work));
        metrics::stage("start", took);
        sink.device.add(took);
        match started.and_then(|started| started) {
            Ok(progress) => {
                sink.progress(progress.step, progress);
                let now = Instant::now();
                self.runs.push(Run {
                    id,
                    first_step: progress.step,
                    progress,
                    sink,
                    alone,
                    saved_at: now,
                    saved_step: progress.step,
                    previewed_at: None,
                    located: false,
                });
                if progress.is_done() {
                    self.locate(self.runs.len() - 1);
                    self.finish(self.runs.len() - 1);
                }
            }
            Err(failure) => {
                self.forget(id);
                sink.end(Err(failure));
            }
        }
    }

    /// Advances these edits by one step, except those that a command has ended meanwhile.
    fn step(&mut self, mut batch: Vec<RunId>) {
        batch.retain(|id| self.index(*id).is_some());
        if batch.is_empty() {
            return;
        }
        let (answers, took) = self.editor.call(&batch, |editor| editor.step(&batch));
        metrics::steps(batch.len(), took);
        let share = took / u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let answers = match answers {
            Ok(answers) => answers,
            Err(mut failure) => {
                if batch.len() > 1 {
                    // One of them is to blame, and nobody knows which.
                    failure.class = FailureClass::Suspect;
                }
                batch.iter().map(|_| Err(failure.clone())).collect()
            }
        };
        for (&id, answer) in batch.iter().zip(answers) {
            let Some(index) = self.index(id) else {
                continue;
            };
            self.runs[index].sink.device.add(share);
            match answer {
                Ok(progress) => {
                    let run = &mut self.runs[index];
                    run.progress = progress;
                    run.sink.progress(run.first_step, progress);
                    self.locate(index);
                    if progress.is_done() {
                        self.finish(index);
                    } else {
                        self.save_if_due(index);
                        self.preview_if_due(index);
                    }
                }
                Err(failure) => {
                    let run = self.runs.remove(index);
                    self.forget(id);
                    run.sink.end(Err(failure));
                }
            }
        }
    }

    /// Saves an edit for a checkpoint, unless the last one is still being uploaded.
    fn save_if_due(&mut self, index: usize) {
        let run = &mut self.runs[index];
        if let Some(every) = self.intervals.checkpoint_every
            && run.saved_at.elapsed() >= every
            && run.sink.snapshots.capacity() > 0
        {
            run.saved_at = Instant::now();
            if let Some(snapshot) = self.snapshot(index) {
                let _ = self.runs[index].sink.snapshots.try_send(snapshot);
            }
        }
    }

    /// Tells of the region, once it is known.
    fn locate(&mut self, index: usize) {
        let Run { id, located, .. } = self.runs[index];
        if located {
            return;
        }
        let (region, took) = self.editor.call(&[id], |editor| editor.located(id));
        let run = &mut self.runs[index];
        run.sink.device.add(took);
        if let Ok(Some(png)) = region {
            run.located = true;
            // Nobody listens to an edit that was stopped.
            let _ = run.sink.located.try_send(png);
        }
    }

    /// Previews an edit as soon as there is something to see, then from time to time, unless the last preview is still waiting to be
    /// published.
    fn preview_if_due(&mut self, index: usize) {
        let run = &mut self.runs[index];
        let every = self.intervals.preview_every;
        if run.previewed_at.is_some_and(|at| at.elapsed() < every)
            || run.sink.previews.capacity() == 0
        {
            return;
        }
        let id = run.id;
        let (preview, took) = self.editor.call(&[id], |editor| editor.preview(id));
        metrics::stage("preview", took);
        run.sink.device.add(took);
        if let Ok(Some(jpeg)) = preview {
            run.previewed_at = Some(Instant::now());
            let _ = run.sink.previews.try_send((run.progress.step, jpeg));
        }
    }

    /// The edit's state, unless no step was done since it was saved last.
    fn snapshot(&mut self, index: usize) -> Option<Snapshot> {
        let run = &mut self.runs[index];
        let (id, step) = (run.id, run.progress.step);
        if step <= run.saved_step {
            return None;
        }
        let (saved, took) = self.editor.call(&[id], |editor| editor.save(id));
        metrics::stage("save", took);
        run.sink.device.add(took);
        match saved.and_then(|saved| saved) {
            Ok(bytes) => {
                run.saved_step = step;
                let bytes = Bytes::from(bytes?);
                Some(Snapshot { step, bytes })
            }
            Err(failure) => {
                // The edit itself may well go on, and a later checkpoint may work.
                tracing::warn!(run = %id, %failure, "no checkpoint");
                None
            }
        }
    }

    fn finish(&mut self, index: usize) {
        let run = self.runs.remove(index);
        let (render, took) = self.editor.call(&[run.id], |editor| editor.finish(run.id));
        metrics::stage("finish", took);
        run.sink.device.add(took);
        let result = render
            .and_then(|render| render)
            .map(|render| Finished { render });
        if result.is_err() {
            self.forget(run.id);
        }
        run.sink.end(result);
    }

    fn forget(&mut self, id: RunId) {
        if let (Err(failure), _) = self.editor.call(&[id], |editor| editor.forget(id)) {
            tracing::error!(run = %id, %failure, "the engine can't forget an edit");
        }
    }

    fn index(&self, id: RunId) -> Option<usize> {
        self.runs.iter().position(|run| run.id == id)
    }
}
