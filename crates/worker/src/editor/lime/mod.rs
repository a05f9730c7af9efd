//! LIME, on one or more models.
//!
//! # Layout
//!
//! - `request`: from spec and pixels to the engine's request
//! - `draw`: from the engine's outcome to files
//! - `colors`: latents as small pictures

mod colors;
mod draw;
mod request;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use limekiln_diffusion::model::Model;
use limekiln_jobs::{Failure, FailureClass, ModelName};
use limekiln_lime::{Edit, Error as LimeError, Preset, Request, Stage};

use super::{BoxError, Drawing, Editor, Progress, Sizing, Ticket, Work};
use colors::Colors;
use draw::Canvas;

/// A model that is loaded.
pub struct LimeModel {
    /// What edits call it.
    pub name: ModelName,
    /// Its networks.
    pub model: Model,
    /// Bound on the longer side of its pictures where the edit names none, in pixels.
    pub side_px: u32,
}

/// Runs the method. Steps of several edits take turns.
pub struct LimeEditor {
    models: BTreeMap<ModelName, Arc<Held>>,
    edits: HashMap<Ticket, Running>,
}

struct Held {
    model: Model,
    sizing: Sizing,
    colors: Colors,
}

struct Running {
    held: Arc<Held>,
    edit: Edit,
    canvas: Canvas,
}

impl LimeEditor {
    /// Warms the models up: each runs a small edit, and learns what its latents look like.
    ///
    /// # Errors
    ///
    /// When a model can't edit.
    pub fn new(models: Vec<LimeModel>) -> Result<Self, BoxError> {
        let mut held = BTreeMap::new();
        for LimeModel {
            name,
            model,
            side_px,
        } in models
        {
            let began = Instant::now();
            let factor = u32::try_from(model.factor())?;
            let sizing = Sizing {
                side_px: side_px.max(factor),
                factor,
            };
            let colors = Colors::fit(&model)?;
            warm_up(&model, sizing)?;
            let took_ms = began.elapsed().as_millis();
            tracing::info!(model = %name, took_ms, "the model is warm");
            held.insert(
                name,
                Arc::new(Held {
                    model,
                    sizing,
                    colors,
                }),
            );
        }
        Ok(Self {
            models: held,
            edits: HashMap::new(),
        })
    }

    fn running(&mut self, ticket: Ticket) -> Result<&mut Running, Failure> {
        self.edits.get_mut(&ticket).ok_or_else(|| {
            internal("the engine was asked for an edit that it does not hold".to_owned())
        })
    }
}

/// One step at full size, so that the first edit finds kernels compiled and memory mapped.
fn warm_up(model: &Model, sizing: Sizing) -> Result<(), BoxError> {
    let mut preset = Preset::base();
    preset.edit.steps = 1;
    let side = (sizing.side_px - sizing.side_px % sizing.factor).max(sizing.factor);
    let request = Request {
        image: image::RgbImage::from_fn(side, side, |x, y| image::Rgb([x as u8, y as u8, 128])),
        instruction: "make it warm".to_owned(),
        seed: 0,
        preset,
        mask: None,
        scheduler: None,
    };
    let mut edit = Edit::new(model, request)?;
    while !edit.is_done() {
        edit.step(model)?;
    }
    edit.finish(model)?;
    Ok(())
}

impl Editor for LimeEditor {
    fn device(&self) -> String {
        let devices: Vec<String> = self
            .models
            .values()
            .map(|held| match held.model.device.location() {
                candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
                candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
                candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
            })
            .collect();
        devices.first().cloned().unwrap_or_default()
    }

    fn sizing(&self, model: &ModelName) -> Option<Sizing> {
        self.models.get(model).map(|held| held.sizing)
    }

    fn start(&mut self, ticket: Ticket, work: Work) -> Result<Progress, Failure> {
        let held = self.models.get(&work.model).cloned().ok_or_else(|| {
            internal(format!(
                "this worker does not hold the model {}",
                work.model
            ))
        })?;
        let pixels = work
            .pixels
            .ok_or_else(|| internal("the edit came without its picture".to_owned()))?;
        let request = request::request(&held.model, &work.spec, &pixels)?;
        let resumed = match &work.saved {
            Some(saved) => match Edit::resume(&held.model, request.clone(), saved) {
                Ok(Some(edit)) => Some(edit),
                Ok(None) => {
                    tracing::info!(%ticket, "a checkpoint of another version: starting over");
                    None
                }
                Err(error) => {
                    tracing::warn!(%ticket, %error, "the checkpoint can't be used: starting over");
                    None
                }
            },
            None => None,
        };
        let edit = match resumed {
            Some(edit) => edit,
            None => Edit::new(&held.model, request).map_err(failure)?,
        };
        let progress = progress(&edit);
        let canvas = Canvas::new(pixels, &work.spec);
        self.edits.insert(ticket, Running { held, edit, canvas });
        Ok(progress)
    }

    fn step(&mut self, tickets: &[Ticket]) -> Vec<Result<Progress, Failure>> {
        tickets
            .iter()
            .map(|&ticket| {
                let Running { held, edit, .. } = self.running(ticket)?;
                edit.step(&held.model).map_err(failure)?;
                Ok(progress(edit))
            })
            .collect()
    }

    fn preview(&mut self, ticket: Ticket) -> Option<Vec<u8>> {
        let running = self.running(ticket).ok()?;
        let shown = running
            .edit
            .latents()
            .map_err(BoxError::from)
            .and_then(|latents| running.held.colors.preview(&latents));
        match shown {
            Ok(jpeg) => jpeg,
            Err(error) => {
                tracing::debug!(%ticket, %error, "no preview");
                None
            }
        }
    }

    fn save(&mut self, ticket: Ticket) -> Result<Option<Vec<u8>>, Failure> {
        let Running { held, edit, .. } = self.running(ticket)?;
        edit.save(&held.model).map(Some).map_err(failure)
    }

    fn finish(&mut self, ticket: Ticket) -> Result<Drawing, Failure> {
        let Some(Running { held, edit, canvas }) = self.edits.remove(&ticket) else {
            return Err(internal(
                "the engine was asked for an edit that it does not hold".to_owned(),
            ));
        };
        let outcome = edit.finish(&held.model).map_err(failure)?;
        Ok(Box::new(move || canvas.draw(outcome)))
    }

    fn forget(&mut self, ticket: Ticket) {
        self.edits.remove(&ticket);
    }
}

/// Steps of both stages, counted through.
fn progress(edit: &Edit) -> Progress {
    let progress = edit.progress();
    Progress {
        stage: match progress.stage {
            Stage::Locate => "locate",
            Stage::Edit => "edit",
            Stage::Decode => "decode",
        },
        step: progress.done as u32,
        steps: progress.total as u32,
    }
}

/// The user's fault where the request is, else the engine's.
fn failure(error: LimeError) -> Failure {
    let (class, code) = match &error {
        LimeError::Preset(_) => (FailureClass::User, "preset_invalid"),
        LimeError::Request(_) => (FailureClass::User, "request_invalid"),
        LimeError::Diffusion(_) | LimeError::Tensor(_) | LimeError::State(_) => {
            (FailureClass::Internal, "engine_failed")
        }
    };
    Failure::new(class, code, error.to_string())
}

fn internal(message: String) -> Failure {
    Failure::new(FailureClass::Internal, "engine_confused", message)
}
