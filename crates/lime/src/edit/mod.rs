//! One edit as a state machine: locate the region, edit in it, decode. Between any two steps it can be saved, and goes on to
//! the same bytes.
//!
//! A step is [`Edit::inputs`], one U-Net call, [`Edit::advance`]. [`Edit::step`] does all three; a fleet stacks the inputs
//! of many edits into one call. `inputs` changes nothing, so a failed call can be tried again.

mod apply;
mod finish;
mod locate;
mod setup;

use std::{collections::BTreeMap, time::Instant};

use candle_core::{DType, Tensor};
use limekiln_diffusion::{model::Model, unet::TextContext};
use limekiln_pictures::Mask;
use serde::Serialize;

pub use finish::Outcome;
pub use setup::Request;
pub(crate) use setup::Setup;

use crate::{
    bias::Bias,
    error::{Error, Result},
    lanes::{self, Lane},
    report::Timings,
    roi::{Map, Segments},
    sums::Sums,
    trajectory::{Saved, Trajectory},
    watch::Watch,
};

/// What an edit is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Finding the region.
    Locate,
    /// Editing in it.
    Edit,
    /// All steps are done; [`Edit::finish`] decodes.
    Decode,
}

/// Where an edit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The stage that the next step belongs to.
    pub stage: Stage,
    /// Steps done of this stage.
    pub step: usize,
    /// Steps of this stage.
    pub steps: usize,
    /// Steps done of the whole edit.
    pub done: usize,
    /// Steps of the whole edit.
    pub total: usize,
}

/// One edit between two steps.
pub struct Edit {
    pub(crate) setup: Setup,
    pub(crate) stage: Stage,
    /// The stage's own run.
    pub(crate) run: Trajectory,
    /// Steps of the stage that is over.
    pub(crate) located: usize,
    pub(crate) sums: Sums,
    pub(crate) found: Found,
    /// Of the region, once it is known.
    pub(crate) bias: Option<Bias>,
    pub(crate) timings: Timings,
}

/// What stage 1 has found so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) segments: Option<Segments>,
    pub(crate) inertia: Option<f64>,
    pub(crate) map: Option<Map>,
    pub(crate) roi: Option<Mask>,
}

/// One edit's rows of a U-Net call.
pub struct Inputs {
    /// `[rows, in_channels, h, w]`, in the model's dtype.
    pub sample: Tensor,
    /// One per row.
    pub timesteps: Vec<f64>,
    /// Keys and values of the rows' texts.
    pub text: TextContext,
    /// What the call is to do in attention for these rows. It reads; hand it to [`Edit::advance`].
    pub watch: Watch,
}

impl Edit {
    /// Encodes the picture and the instruction.
    ///
    /// # Errors
    ///
    /// When the preset, the picture's or the mask's size or the instruction cannot be used, or the networks fail.
    pub fn new(model: &Model, request: Request) -> Result<Self> {
        let began = Instant::now();
        let setup = Setup::new(model, request, None)?;
        let stage = if setup.locate().is_some() {
            Stage::Locate
        } else {
            Stage::Edit
        };
        let found = Found {
            roi: setup.mask(),
            ..Found::default()
        };
        let (run, bias) = (setup.start(stage)?, apply::bias(&setup, found.roi.as_ref()));
        let timings = Timings {
            encode_ms: milliseconds(began),
            ..Timings::default()
        };
        Ok(Self {
            setup,
            stage,
            run,
            located: 0,
            sums: Sums::default(),
            found,
            bias,
            timings,
        })
    }

    /// The edit that was saved.
    pub(crate) fn restore(
        setup: Setup,
        stage: Stage,
        saved: Saved,
        sums: Sums,
        found: Found,
    ) -> Result<Self> {
        if stage == Stage::Locate && setup.locate().is_none() {
            return Err(Error::State(
                "it stands in a stage that this edit lacks".into(),
            ));
        }
        let (kind, steps) = setup.solver(stage);
        let run = Trajectory::resume(&setup.scheduler, kind, steps, saved, &setup.device)?;
        let bias = apply::bias(&setup, found.roi.as_ref());
        Ok(Self {
            setup,
            stage,
            run,
            located: 0,
            sums,
            found,
            bias,
            timings: Timings::default(),
        })
    }

    /// Where the edit stands.
    pub fn progress(&self) -> Progress {
        let steps = match self.stage {
            Stage::Locate => self.locate_steps(),
            Stage::Edit | Stage::Decode => self.run.steps(),
        };
        let (before, after) = match self.stage {
            Stage::Locate => (0, self.setup.calls(Stage::Edit)),
            Stage::Edit | Stage::Decode => (self.located, 0),
        };
        let step = self.run.step();
        Progress {
            stage: self.stage,
            step,
            steps,
            done: before + step,
            total: before + steps + after,
        }
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Decode
    }

    /// The latents of the stage's run as the U-Net is shown them, f32 `[1, channels, h, w]`: noise and picture together
    /// have unit variance, whatever the solver.
    ///
    /// # Errors
    ///
    /// When tensors cannot be made.
    pub fn latents(&self) -> Result<Tensor> {
        match self.stage {
            Stage::Decode => Ok(self.run.latents().clone()),
            Stage::Locate | Stage::Edit => Ok(self.run.input()?.0),
        }
    }

    /// The rows of this step.
    ///
    /// # Errors
    ///
    /// When all steps are done, or tensors cannot be made.
    pub fn inputs(&self) -> Result<Inputs> {
        let watch = self.watch();
        let (scaled, timestep) = self.run.input()?;
        let blank = self.setup.picture.zeros_like()?;
        let mut rows = Vec::with_capacity(watch.lanes.len());
        let mut texts = Vec::with_capacity(watch.lanes.len());
        for lane in &watch.lanes {
            let condition = if *lane == Lane::None {
                &blank
            } else {
                &self.setup.picture
            };
            rows.push(Tensor::cat(&[&scaled, condition], 1)?);
            texts.push(if *lane == Lane::Text {
                &self.setup.text
            } else {
                &self.setup.empty
            });
        }
        Ok(Inputs {
            sample: Tensor::cat(&rows, 0)?.to_dtype(self.setup.dtype)?,
            timesteps: vec![timestep; rows.len()],
            text: TextContext::cat(&texts)?,
            watch,
        })
    }

    /// Finishes the step with the U-Net's `output` for its rows, `[rows, channels, h, w]`, and what its `watch` has read.
    pub fn advance(&mut self, output: &Tensor, watch: Watch) -> Result<()> {
        let output = output.to_dtype(DType::F32)?;
        match self.stage {
            Stage::Locate => self.advance_locate(&output, watch),
            Stage::Edit => self.advance_apply(&output, &watch.lanes),
            Stage::Decode => Err(Error::Request("all steps of this edit are done".into())),
        }
    }

    /// One denoising step.
    ///
    /// # Errors
    ///
    /// When all steps are done, or the networks fail.
    pub fn step(&mut self, model: &Model) -> Result<Progress> {
        let began = Instant::now();
        let (stage, segmenting) = (self.stage, self.timings.segment_ms);
        let mut inputs = self.inputs()?;
        let output = model.unet.forward(
            &inputs.sample,
            &inputs.timesteps,
            &inputs.text,
            &mut inputs.watch,
        )?;
        self.advance(&output, inputs.watch)?;
        let spent = milliseconds(began) - (self.timings.segment_ms - segmenting);
        match stage {
            Stage::Locate => self.timings.locate_ms += spent,
            Stage::Edit | Stage::Decode => self.timings.edit_ms += spent,
        }
        Ok(self.progress())
    }

    fn watch(&self) -> Watch {
        let mut watch = Watch {
            lanes: Vec::new(),
            latent: (self.setup.shape.2, self.setup.shape.3),
            features: None,
            map: None,
            bias: None,
            built: BTreeMap::new(),
            device: self.setup.device.clone(),
            read: Sums::default(),
        };
        match self.stage {
            Stage::Locate => self.watch_locate(&mut watch),
            Stage::Edit | Stage::Decode => {
                watch.lanes = lanes::needed(self.setup.request.preset.edit.scales, &[]);
                watch.bias = self.bias_now();
            }
        }
        watch
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
