//! LIME, on one or more models.
//!
//! # Layout
//!
//! - `loaded`: a model that is loaded and warm
//! - `failures`: what an edit's errors are to the fleet
//! - `state`: how far the engine is with an edit
//! - `pace`: how large a call pays
//! - `outputs`: from a finished edit to files
//! - `colors`: latents as small pictures

mod colors;
mod failures;
mod loaded;
mod outputs;
mod pace;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;
use limekiln_diffusion::model::Model;
use limekiln_jobs::{Failure, ModelName};
use limekiln_lime::canvas::{Canvas, Finishing, length_check};
use limekiln_lime::edit::{Answer, Shape, call};
use limekiln_pictures::Format;

use super::contract::{Beside, BoxError, Editor, Fit, Landed, Progress, Render, RunId, Work};
use crate::prepared::{self, Asked, Prepared, Sizing};
use failures::{failure, internal, unknown};
pub use loaded::LimeModel;
use loaded::LoadedModel;
use state::{Asking, State};

/// Runs the method. Edits of one model whose latents are of one size share the network's calls.
pub struct LimeEditor {
    models: BTreeMap<ModelName, Arc<LoadedModel>>,
    edits: HashMap<RunId, OpenEdit>,
    resident_bytes: u64,
}

/// An edit between two steps, and what its result will be made on.
struct OpenEdit {
    model: Arc<LoadedModel>,
    state: State,
    progress: Progress,
    canvas: Canvas,
    finishing: Finishing,
    /// Whether only what it changes is to be left.
    patched: bool,
    /// The preset's name, of an edit that is to leave its picture's segments alone.
    segments: Option<String>,
}

impl LimeEditor {
    /// Warms the models up: each makes a small edit, so that the first edit finds kernels compiled and memory mapped, and
    /// learns what its latents look like.
    ///
    /// # Errors
    ///
    /// When a model can't edit.
    pub fn new(models: Vec<LimeModel>) -> Result<Self, BoxError> {
        let models = models.into_iter().enumerate().map(|(number, model)| {
            let began = Instant::now();
            let name = model.name.clone();
            let loaded = LoadedModel::warm(model, number)?;
            let took_ms = began.elapsed().as_millis();
            let call_most = loaded.call_most;
            tracing::info!(model = %name, took_ms, call_most, "the model is warm");
            Ok((name, Arc::new(loaded)))
        });
        let models = models.collect::<Result<_, BoxError>>()?;
        // What the edits of the warm-up took is free by now, and no part of the models.
        limekiln_memory::give_back();
        Ok(Self {
            models,
            edits: HashMap::new(),
            resident_bytes: limekiln_memory::resident().unwrap_or(0),
        })
    }

    fn open_edit(&mut self, run: RunId) -> Result<&mut OpenEdit, Failure> {
        self.edits.get_mut(&run).ok_or_else(unknown)
    }
}

impl OpenEdit {
    /// Ends a step with what the network answered, unless that takes long: then it is ended beside the engine.
    fn answered(&mut self, answer: Answer) -> Result<Progress, Failure> {
        match std::mem::replace(&mut self.state, State::Away) {
            State::Edit(edit) if edit.segments_next() => {
                self.state = State::Answered(edit, Box::new(answer));
            }
            State::Edit(mut edit) => {
                edit.end(answer).map_err(failure)?;
                self.progress = state::progress(&edit);
                self.state = State::Edit(edit);
            }
            other => {
                self.state = other;
                return Err(unknown());
            }
        }
        Ok(self.progress)
    }
}

impl Editor for LimeEditor {
    fn device(&self) -> String {
        let devices: Vec<String> = self
            .models
            .values()
            .map(|loaded| match loaded.model.device.location() {
                candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
                candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
                candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
            })
            .collect();
        devices.first().cloned().unwrap_or_default()
    }

    fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    fn sizing(&self, model: &ModelName) -> Option<Sizing> {
        self.models.get(model).map(|loaded| loaded.sizing)
    }

    fn name(&self, model: &ModelName) -> Option<String> {
        let model = &self.models.get(model)?.model;
        let Model {
            fingerprint,
            device,
            ..
        } = model;
        let device = match device {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
            Device::Metal(_) => "metal",
        };
        Some(format!("{fingerprint} {device} {}", model.path()))
    }

    fn start(&mut self, run: RunId, work: Work) -> Result<Progress, Failure> {
        let model = self.models.get(&work.model).cloned().ok_or_else(|| {
            internal(format!(
                "this worker does not hold the model {}",
                work.model
            ))
        })?;
        let Prepared {
            asked,
            canvas,
            finishing,
        } = work
            .prepared
            .ok_or_else(|| internal("the edit came without its picture".to_owned()))?;
        let state = match asked {
            Asked::Edit(request) => {
                length_check(&model.model, &request.instruction).map_err(prepared::failure)?;
                State::Asked(Box::new(Asking {
                    run,
                    request: *request,
                    known: work.known,
                    saved: work.saved,
                }))
            }
            Asked::Nothing(outcome) => State::Known(Box::new(outcome.knowing(work.known))),
        };
        let progress = Progress {
            stage: "recolor",
            step: 0,
            steps: 0,
        };
        let open = OpenEdit {
            model,
            state,
            progress,
            canvas,
            finishing,
            patched: work.patched,
            segments: work.spec.segments.then_some(work.spec.preset),
        };
        self.edits.insert(run, open);
        Ok(progress)
    }

    fn fit(&self, run: RunId) -> Option<Fit> {
        let OpenEdit { model, state, .. } = self.edits.get(&run)?;
        let State::Edit(edit) = state else {
            return None;
        };
        let Shape {
            rows,
            height,
            width,
        } = edit.call()?;
        Some(Fit {
            kind: [model.number, height, width],
            work: (rows * height * width) as u64,
            most: model.call_most,
        })
    }

    fn beside(&mut self, run: RunId) -> Option<Beside> {
        let OpenEdit { model, state, .. } = self.edits.get_mut(&run)?;
        state.beside(model)
    }

    fn land(&mut self, run: RunId, landed: Landed) -> Result<Progress, Failure> {
        let open = self.open_edit(run)?;
        open.state = State::landed(landed)?;
        if let State::Edit(edit) = &open.state {
            open.progress = state::progress(edit);
        }
        Ok(open.progress)
    }

    fn step(&mut self, runs: &[RunId]) -> Vec<Result<Progress, Failure>> {
        let edits = runs.iter().map(|run| match &self.edits.get(run)?.state {
            State::Edit(edit) => Some(&**edit),
            _ => None,
        });
        let model = runs.first().and_then(|run| self.edits.get(run));
        let (Some(edits), Some(model)) = (edits.collect::<Option<Vec<_>>>(), model) else {
            return runs.iter().map(|_| Err(unknown())).collect();
        };
        let answers = call(&model.model.model, &edits);
        let answered = runs.iter().zip(answers);
        answered
            .map(|(&run, answer)| self.open_edit(run)?.answered(answer.map_err(failure)?))
            .collect()
    }

    fn preview(&mut self, run: RunId) -> Option<Vec<u8>> {
        let open = self.open_edit(run).ok()?;
        let State::Edit(edit) = &open.state else {
            return None;
        };
        match open.model.colors.preview(edit.clean()?) {
            Ok(jpeg) => jpeg,
            Err(error) => {
                tracing::debug!(%run, %error, "no preview");
                None
            }
        }
    }

    fn located(&mut self, run: RunId) -> Option<Vec<u8>> {
        let State::Edit(edit) = &self.open_edit(run).ok()?.state else {
            return None;
        };
        let region = edit.region()?.to_image();
        match limekiln_pictures::encode(&region.into(), Format::Png) {
            Ok(png) => Some(png),
            Err(error) => {
                tracing::debug!(%run, %error, "the region is not told");
                None
            }
        }
    }

    fn save(&mut self, run: RunId) -> Result<Option<Vec<u8>>, Failure> {
        let OpenEdit { model, state, .. } = self.open_edit(run)?;
        match state {
            State::Edit(edit) => edit.save(&model.model).map(Some).map_err(failure),
            _ => Ok(None),
        }
    }

    fn finish(&mut self, run: RunId) -> Result<Render, Failure> {
        let OpenEdit {
            model,
            state,
            canvas,
            finishing,
            patched,
            segments,
            ..
        } = self.edits.remove(&run).ok_or_else(unknown)?;
        let (outcome, drawings_only) = match state {
            State::Decoded(outcome) => (*outcome, model.drawings_only),
            State::Known(outcome) => (*outcome, false),
            State::Asked(_) | State::Edit(_) | State::Answered(..) | State::Away => {
                return Err(unknown());
            }
        };
        Ok(Box::new(move |stop| {
            if let Some(preset) = segments {
                return outputs::segments(&canvas, outcome, preset);
            }
            let warnings = canvas.warnings(drawings_only, finishing.finish, Format::Png);
            let warnings = warnings.iter().map(ToString::to_string).collect();
            let beat = || match stop.is_cancelled() {
                true => Err(limekiln_finish::Error::Stopped),
                false => Ok(()),
            };
            let finished = canvas.finish(outcome, finishing, warnings, &beat);
            outputs::count(&finished);
            outputs::outputs(finished.map_err(prepared::failure)?, patched)
        }))
    }

    fn forget(&mut self, run: RunId) {
        self.edits.remove(&run);
    }
}
