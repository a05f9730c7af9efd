//! One denoising step: the rows of a U-Net call, and what its output does to the edit.

use std::time::Instant;

use candle_core::{DType, Tensor};
use limekiln_diffusion::{model::Model, unet::TextContext};

use super::{
    machine::Edit,
    setup::Texts,
    stage::{Progress, Stage},
};
use crate::{
    error::{Error, Result},
    lanes::{self, Lane},
    observer::AttentionObserver,
    timings::milliseconds,
};

/// One edit's rows of a U-Net call.
pub struct Inputs {
    /// `[rows, in_channels, h, w]`, in the model's dtype.
    pub sample: Tensor,
    /// The timestep of each row.
    pub timesteps: Vec<f64>,
    /// Keys and values of the rows' texts.
    pub text: TextContext,
    /// What the call is to do in attention for these rows. It reads; hand it to [`Edit::advance`].
    pub observer: AttentionObserver,
}

impl Edit {
    /// What the U-Net is to be called with in this step. Edits whose samples have one shape can share a call.
    ///
    /// # Errors
    ///
    /// When all steps are done, or tensors cannot be made.
    pub fn inputs(&self) -> Result<Inputs> {
        let observer = self.observer();
        if let Some(reading) = self.reading() {
            let shown = reading.shown(&self.setup)?;
            return self.stacked(&shown, observer);
        }
        let (latents, timestep) = self.run.input()?;
        let latents = match observer.window {
            Some(window) => window.cut(&latents)?,
            None => latents,
        };
        let shown = vec![(latents, timestep); observer.lanes.len()];
        self.stacked(&shown, observer)
    }

    /// The rows of one call: `shown` is what each of the observer's lanes sees, latents and timestep.
    fn stacked(&self, shown: &[(Tensor, f64)], observer: AttentionObserver) -> Result<Inputs> {
        let picture = match observer.window {
            Some(window) => window.cut(&self.setup.picture)?,
            None => self.setup.picture.clone(),
        };
        let done = || Error::Request("all steps of this edit are done".into());
        let Texts { instruction, empty } = self.setup.texts.as_ref().ok_or_else(done)?;
        let blank = picture.zeros_like()?;
        let mut rows = Vec::with_capacity(shown.len());
        let mut texts = Vec::with_capacity(shown.len());
        for (lane, (latents, _)) in observer.lanes.iter().zip(shown) {
            let condition = if *lane == Lane::None {
                &blank
            } else {
                &picture
            };
            rows.push(Tensor::cat(&[latents, condition], 1)?);
            texts.push(if *lane == Lane::Text {
                instruction
            } else {
                empty
            });
        }
        Ok(Inputs {
            sample: Tensor::cat(&rows, 0)?.to_dtype(self.setup.dtype)?,
            timesteps: shown.iter().map(|(_, timestep)| *timestep).collect(),
            text: TextContext::cat(&texts)?,
            observer,
        })
    }

    /// Finishes the step with the U-Net's `output` for its rows, `[rows, channels, h, w]`, and what
    /// its `observer` has read.
    pub fn advance(&mut self, output: &Tensor, observer: AttentionObserver) -> Result<()> {
        let output = output.to_dtype(DType::F32)?;
        match self.stage {
            Stage::Locate => match self.reading() {
                Some(reading) => self.advance_reading(&reading, &output, observer),
                None => self.advance_locate(&output, observer),
            },
            Stage::Edit => self.advance_apply(&output, &observer.lanes),
            Stage::Find => Err(Error::Request("this step is no call of the U-Net".into())),
            Stage::Decode => Err(Error::Request("all steps of this edit are done".into())),
        }
    }

    /// Takes one denoising step, makes the call that checks a window, or looks for the object in the full-size picture.
    ///
    /// # Errors
    ///
    /// When all steps are done, or the networks fail.
    pub fn step(&mut self, model: &Model) -> Result<Progress> {
        let began = Instant::now();
        let (stage, segmenting) = (self.stage, self.timings.segment_ms);
        if stage == Stage::Find {
            self.find()?;
            return Ok(self.progress());
        }
        let mut inputs = self.inputs()?;
        let output = model.unet.forward(
            &inputs.sample,
            &inputs.timesteps,
            &inputs.text,
            &mut inputs.observer,
        )?;
        self.advance(&output, inputs.observer)?;
        let spent = milliseconds(began) - (self.timings.segment_ms - segmenting);
        match stage {
            Stage::Locate => self.timings.locate_ms += spent,
            Stage::Find | Stage::Edit | Stage::Decode => self.timings.edit_ms += spent,
        }
        Ok(self.progress())
    }

    /// What this step wants in attention.
    fn observer(&self) -> AttentionObserver {
        let (_, _, height, width) = self.setup.shape;
        let mut observer = AttentionObserver::new((height, width), &self.setup.device);
        match self.stage {
            Stage::Locate => match self.reading() {
                Some(reading) => self.observe_reading(&reading, &mut observer),
                None => self.observe_locate(&mut observer),
            },
            Stage::Find | Stage::Edit | Stage::Decode => {
                if let Some(edit) = self.setup.apply() {
                    observer.set_lanes(lanes::needed(edit.scales, &[]));
                }
                observer.bias = self.bias_now();
                observer.window = self.window_now();
            }
        }
        observer
    }
}
