//! What the thread shows of an edit between two steps: its region, previews, states for checkpoints.

use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::channel::Snapshot;
use super::run::Run;
use super::thread::EngineThread;
use crate::metrics;

impl EngineThread<'_> {
    /// Saves an edit for a checkpoint, unless the last one is still being uploaded.
    pub(super) fn save_if_due(&mut self, index: usize) {
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

    /// Saves an edit for whoever asked.
    pub(super) fn save_to(&mut self, index: usize, reply: oneshot::Sender<Snapshot>) {
        if let Some(snapshot) = self.snapshot(index) {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(snapshot);
        }
    }

    /// Tells of the region, once it is known.
    pub(super) fn locate(&mut self, index: usize) {
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
    pub(super) fn preview_if_due(&mut self, index: usize) {
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
}
