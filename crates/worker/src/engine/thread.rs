//! The engine's thread: carries out commands, and advances the edits that it holds, as many as fit in each call.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use limekiln_jobs::{Failure, ModelName};
use tokio::sync::oneshot;

use super::beside::Helper;
use super::calls::CallTimer;
use super::channel::{Command, Finished, Landing, RunSink};
use super::guarded::GuardedEditor;
use super::order::{Ready, next_call};
use super::run::Run;
use crate::memory::Held;
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
    (commands, helper): (Receiver<Command>, Helper),
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
        helper,
        calls,
        intervals,
        runs: Vec::new(),
        left: HashMap::new(),
    }
    .run();
}

pub(super) struct EngineThread<'a> {
    pub(super) editor: GuardedEditor<'a>,
    commands: Receiver<Command>,
    helper: Helper,
    calls: &'a CallTimer,
    pub(super) intervals: Intervals,
    pub(super) runs: Vec<Run>,
    /// What edits hold that were forgotten while something was done for them beside the engine: it is in use until that ends.
    left: HashMap<RunId, Held>,
}

impl EngineThread<'_> {
    /// Makes one call after another, each for the edits that are ready. Commands are carried out between any two calls of the
    /// editor, so that a stop or a request to save waits for one step at most.
    fn run(mut self) {
        loop {
            if !self.handle_pending() {
                return;
            }
            let call = self.next_call();
            if !call.is_empty() {
                self.step(&call);
                continue;
            }
            match self.commands.recv() {
                Ok(command) => self.handle(command),
                Err(_) => return,
            }
        }
    }

    /// Who is in the next call; none where no edit is ready.
    fn next_call(&self) -> Vec<RunId> {
        let ready = self.runs.iter().filter(|run| !run.away);
        let ready: Vec<Ready> = ready
            .map(|run| Ready {
                run: run.id,
                interactive: run.interactive,
                passed_over: run.passed_over,
                fit: match run.alone {
                    true => None,
                    false => self.editor.get().fit(run.id),
                },
            })
            .collect();
        next_call(&ready)
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
            Command::Save { run, reply } => match self.index(run) {
                // Its state is not here.
                Some(index) if self.runs[index].away => self.runs[index].save_to = Some(reply),
                Some(index) => self.save_to(index, reply),
                None => {}
            },
            Command::Forget { run, held } => {
                if let Some(index) = self.index(run) {
                    if self.runs.remove(index).away {
                        self.left.insert(run, held);
                    }
                    self.forget(run);
                }
            }
            Command::Landed(landing) => self.land(landing),
        }
        self.calls.open(!self.runs.is_empty());
    }

    fn start(&mut self, id: RunId, work: Work, sink: RunSink) {
        let (alone, interactive) = (work.alone, work.interactive);
        let (started, took) = self.editor.call(&[id], |editor| editor.start(id, work));
        metrics::stage("start", took);
        sink.device.add(took);
        match started.and_then(|started| started) {
            Ok(progress) => {
                self.runs
                    .push(Run::new(id, (alone, interactive), progress, sink));
                let index = self.runs.len() - 1;
                if !self.send_beside(index) {
                    self.begun(index, progress);
                }
            }
            Err(failure) => {
                self.forget(id);
                sink.end(Err(failure));
            }
        }
    }

    /// Goes on with an edit for which something was done beside the engine.
    fn land(&mut self, landing: Landing) {
        let Landing { run, landed, took } = landing;
        metrics::stage("beside", took);
        drop(self.left.remove(&run));
        let Some(index) = self.index(run) else {
            return;
        };
        self.runs[index].away = false;
        self.runs[index].sink.device.add(took);
        let landed = landed
            .and_then(|landed| {
                self.editor
                    .call(&[run], |editor| editor.land(run, landed))
                    .0
            })
            .and_then(|progress| progress);
        match landed {
            Ok(progress) if self.runs[index].first_step.is_none() => self.begun(index, progress),
            Ok(progress) => self.advanced(index, progress),
            Err(failure) => self.fail(run, failure),
        }
    }

    /// An edit stands at its first step, or the one that it was resumed at.
    fn begun(&mut self, index: usize, progress: Progress) {
        let run = &mut self.runs[index];
        (run.first_step, run.saved_step) = (Some(progress.step), progress.step);
        run.progress = progress;
        run.sink.progress(progress.step, progress);
        self.advanced(index, progress);
    }

    /// Advances these edits by one step.
    fn step(&mut self, call: &[RunId]) {
        for run in &mut self.runs {
            run.passed_over = match call.contains(&run.id) {
                true => 0,
                false => run.passed_over + u32::from(!run.away),
            };
        }
        let (answers, took) = self.editor.step(call);
        metrics::steps(call.len(), took);
        let share = took / u32::try_from(call.len()).unwrap_or(u32::MAX);
        let answers = match answers {
            Ok(answers) => answers,
            // One of them is to blame: each goes on alone, and it fails.
            Err(_) if call.len() > 1 => {
                for run in call {
                    self.step(&[*run]);
                }
                return;
            }
            Err(failure) => vec![Err(failure)],
        };
        for (&id, answer) in call.iter().zip(answers) {
            let Some(index) = self.index(id) else {
                continue;
            };
            self.runs[index].sink.device.add(share);
            match answer {
                Ok(progress) => self.advanced(index, progress),
                Err(failure) => self.fail(id, failure),
            }
        }
        self.calls.open(!self.runs.is_empty());
    }

    /// Says how far an edit is, and what is next for it.
    fn advanced(&mut self, index: usize, progress: Progress) {
        let run = &mut self.runs[index];
        if run.progress != progress {
            run.progress = progress;
            run.sink
                .progress(run.first_step.unwrap_or(progress.step), progress);
        }
        self.locate(index);
        if self.send_beside(index) {
            return;
        }
        if progress.is_done() {
            return self.finish(index);
        }
        if let Some(reply) = self.runs[index].save_to.take() {
            self.save_to(index, reply);
        }
        self.save_if_due(index);
        self.preview_if_due(index);
    }

    /// Whether something is done for the edit beside the engine from now on.
    fn send_beside(&mut self, index: usize) -> bool {
        let id = self.runs[index].id;
        let (work, _) = self.editor.call(&[id], |editor| editor.beside(id));
        // An editor that panics here has its edit in no known state: the next step says so.
        let Ok(Some(work)) = work else {
            return false;
        };
        self.runs[index].away = true;
        self.helper.take(id, work);
        true
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

    fn fail(&mut self, id: RunId, failure: Failure) {
        if let Some(index) = self.index(id) {
            let run = self.runs.remove(index);
            self.forget(id);
            run.sink.end(Err(failure));
        }
    }

    fn forget(&mut self, id: RunId) {
        if let (Err(failure), _) = self.editor.call(&[id], |editor| editor.forget(id)) {
            tracing::error!(run = %id, %failure, "the engine can't forget an edit");
        }
    }

    pub(super) fn index(&self, id: RunId) -> Option<usize> {
        self.runs.iter().position(|run| run.id == id)
    }
}
