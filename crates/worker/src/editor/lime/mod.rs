//! LIME, on one or more models.
//!
//! # Layout
//!
//! - `outputs`: from a finished edit to files
//! - `colors`: latents as small pictures

mod colors;
mod outputs;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;
use limekiln_diffusion::model::Model;
use limekiln_jobs::{Failure, FailureClass, ModelName};
use limekiln_lime::canvas::{Canvas, Finishing, length_check};
use limekiln_lime::lanes::LANES;
use limekiln_lime::{Edit, Error as LimeError, Known, Outcome, Request, Stage, probe};
use limekiln_pictures::Format;

use super::contract::{BoxError, Editor, Progress, Render, RunId, Work};
use crate::prepared::{self, Asked, Prepared, Sizing, Speed};
use colors::Colors;

/// A model that is loaded.
pub struct LimeModel {
    /// The name that edits ask for it by.
    pub name: ModelName,
    /// The networks.
    pub model: Model,
    /// Bound on the longer side of its pictures where the edit names none, in pixels.
    pub side_px: u32,
    /// Whether it knows drawings alone, so that edits of photographs are warned of.
    pub drawings_only: bool,
}

/// Runs the method. Steps of several edits take turns.
pub struct LimeEditor {
    models: BTreeMap<ModelName, Arc<LoadedModel>>,
    edits: HashMap<RunId, OpenEdit>,
    resident_bytes: u64,
}

struct LoadedModel {
    model: Model,
    sizing: Sizing,
    drawings_only: bool,
    colors: Colors,
}

/// An edit between two steps, and what its result will be made on.
struct OpenEdit {
    model: Arc<LoadedModel>,
    state: State,
    canvas: Canvas,
    finishing: Finishing,
    /// Whether only what it changes is to be left.
    patched: bool,
    /// The preset's name, of an edit that is to leave its picture's segments alone.
    segments: Option<String>,
}

/// How far the engine is with an edit.
enum State {
    /// Between two steps.
    Edit(Box<Edit>),
    /// The engine has nothing to do for it.
    Done(Box<Outcome>),
}

impl LimeEditor {
    /// Warms the models up: each makes a small edit, so that the first edit finds kernels compiled and memory mapped, and
    /// learns what its latents look like.
    ///
    /// # Errors
    ///
    /// When a model can't edit.
    pub fn new(models: Vec<LimeModel>) -> Result<Self, BoxError> {
        let models = models.into_iter().map(|model| {
            let began = Instant::now();
            let name = model.name.clone();
            let loaded = LoadedModel::warm(model)?;
            let took_ms = began.elapsed().as_millis();
            tracing::info!(model = %name, took_ms, "the model is warm");
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

/// The edit that is asked for, or the one that was saved.
fn resumed(
    run: RunId,
    model: &Model,
    request: Request,
    known: Known,
    saved: Option<&[u8]>,
) -> Result<Edit, Failure> {
    if let Some(saved) = saved {
        match Edit::resume(model, request.clone(), saved) {
            Ok(Some(edit)) => return Ok(edit.knowing(known)),
            Ok(None) => tracing::info!(%run, "a checkpoint of another version: starting over"),
            Err(error) => {
                tracing::warn!(%run, %error, "the checkpoint can't be used: starting over");
            }
        }
    }
    Edit::with(model, request, known).map_err(failure)
}

impl LoadedModel {
    fn warm(model: LimeModel) -> Result<Self, BoxError> {
        let LimeModel {
            model,
            side_px,
            drawings_only,
            ..
        } = model;
        let factor = u32::try_from(model.factor())?;
        let mut sizing = Sizing {
            side_px: side_px.max(factor),
            factor,
            pixel_bytes: match model.device {
                Device::Cpu => model.bytes_per_pixel(LANES.len()) as u64,
                Device::Cuda(_) | Device::Metal(_) => 0,
            },
            speed: None,
        };
        let colors = Colors::fit(&model)?;
        // The first warms up what the second is timed without.
        probe(&model, sizing.side_px, 1)?;
        let began = Instant::now();
        probe(&model, sizing.side_px, 1)?;
        let factor = u64::from(factor);
        sizing.speed = Some(Speed {
            call: began.elapsed(),
            balance_px: model.attention_balance() as u64 * factor.pow(2),
        });
        Ok(Self {
            model,
            sizing,
            drawings_only,
            colors,
        })
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
        let Model {
            fingerprint,
            device,
            dtype,
            ..
        } = &self.models.get(model)?.model;
        let device = match device {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
            Device::Metal(_) => "metal",
        };
        Some(format!("{fingerprint} {device} {}", dtype.as_str()))
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
                let edit = resumed(
                    run,
                    &model.model,
                    *request,
                    work.known,
                    work.saved.as_deref(),
                )?;
                State::Edit(Box::new(edit))
            }
            Asked::Nothing(outcome) => State::Done(Box::new(outcome.knowing(work.known))),
        };
        let progress = progress(&state);
        let open = OpenEdit {
            model,
            state,
            canvas,
            finishing,
            patched: work.patched,
            segments: work.spec.segments.then_some(work.spec.preset),
        };
        self.edits.insert(run, open);
        Ok(progress)
    }

    fn step(&mut self, runs: &[RunId]) -> Vec<Result<Progress, Failure>> {
        runs.iter()
            .map(|&run| {
                let OpenEdit { model, state, .. } = self.open_edit(run)?;
                if let State::Edit(edit) = state {
                    edit.step(&model.model).map_err(failure)?;
                }
                Ok(progress(state))
            })
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
            State::Done(_) => Ok(None),
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
        } = self.edits.remove(&run).ok_or_else(unknown)?;
        let (outcome, drawings_only) = match state {
            State::Edit(edit) => {
                let outcome = edit.finish(&model.model).map_err(failure)?;
                (outcome, model.drawings_only)
            }
            State::Done(outcome) => (*outcome, false),
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

/// Progress over the steps of both stages.
fn progress(state: &State) -> Progress {
    let State::Edit(edit) = state else {
        return Progress {
            stage: "recolor",
            step: 0,
            steps: 0,
        };
    };
    let progress = edit.progress();
    Progress {
        stage: match progress.stage {
            Stage::Locate => "locate",
            Stage::Find => "find",
            Stage::Edit => "edit",
            Stage::Decode => "decode",
        },
        step: progress.done as u32,
        steps: progress.total as u32,
    }
}

/// A failure of class user where the request can't be run, else of class internal.
fn failure(error: LimeError) -> Failure {
    let (class, code) = match &error {
        LimeError::Preset(_) => (FailureClass::User, "preset_invalid"),
        LimeError::Request(_) => (FailureClass::User, "request_invalid"),
        LimeError::Finish(error) => {
            return prepared::failure(error.clone());
        }
        LimeError::Diffusion(_) | LimeError::Tensor(_) | LimeError::State(_) => {
            (FailureClass::Internal, "engine_failed")
        }
    };
    Failure::new(class, code, error.to_string())
}

/// The engine's thread asks for an edit that it never started or has already finished: a defect.
fn unknown() -> Failure {
    internal("the engine was asked for an edit that it does not hold".to_owned())
}

fn internal(message: String) -> Failure {
    Failure::new(FailureClass::Internal, "engine_confused", message)
}
