//! One denoising step: the rows of a U-Net call, and what its output does to the edit.

use std::time::Instant;

use candle_core::{DType, Tensor};
use limekiln_diffusion::{model::Model, unet::TextContext};

use super::{
    company::{self, Answer, Shape},
    inputs::Inputs,
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

/// Of an edit whose last step broke off in the middle: its state is of no use.
fn broken() -> Error {
    Error::State("a step of it broke off".into())
}

impl Edit {
    /// What the U-Net is to be called with in this step. Edits whose samples have one shape can share a call.
    ///
    /// # Errors
    ///
    /// When all steps are done, or tensors cannot be made.
    pub fn inputs(&self) -> Result<Inputs> {
        if self.torn {
            return Err(broken());
        }
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
        // Stays so where this fails or panics.
        if std::mem::replace(&mut self.torn, true) {
            return Err(broken());
        }
        let advanced = match self.stage {
            Stage::Locate => match self.reading() {
                Some(reading) => self.advance_reading(&reading, &output, observer),
                None => self.advance_locate(&output, observer),
            },
            Stage::Edit => self.advance_apply(&output, &observer.lanes),
            Stage::Find => Err(Error::Request("this step is no call of the U-Net".into())),
            Stage::Decode => Err(Error::Request("all steps of this edit are done".into())),
        };
        advanced?;
        self.torn = false;
        Ok(())
    }

    /// Takes one denoising step, makes the call that checks a window, or looks for the object in the full-size picture.
    ///
    /// # Errors
    ///
    /// When all steps are done, or the networks fail.
    pub fn step(&mut self, model: &Model) -> Result<Progress> {
        if self.stage == Stage::Find {
            self.find()?;
            return Ok(self.progress());
        }
        let answer = company::call(model, &[&*self]).pop();
        self.end(answer.ok_or_else(broken)??)?;
        Ok(self.progress())
    }

    /// Ends a step with what its call answered.
    ///
    /// # Errors
    ///
    /// Those of [`Edit::advance`].
    pub fn end(&mut self, answer: Answer) -> Result<()> {
        let began = Instant::now();
        let (stage, segmenting) = (self.stage, self.timings.segment_ms);
        self.advance(&answer.output, answer.observer)?;
        let spent = answer.took_ms + milliseconds(began) - (self.timings.segment_ms - segmenting);
        match stage {
            Stage::Locate => self.timings.locate_ms += spent,
            Stage::Find | Stage::Edit | Stage::Decode => self.timings.edit_ms += spent,
        }
        Ok(())
    }

    /// Rows, height and width of the next step's U-Net call; none where the next step is none.
    pub fn call(&self) -> Option<Shape> {
        let (_, _, height, width) = self.setup.shape;
        let of_window = self
            .window_now()
            .map(|window| (window.height, window.width));
        let (rows, (height, width)) = match self.stage {
            Stage::Locate => {
                let (step, steps) = (self.run.step() + 1, self.run.steps());
                let rows = match self.reading() {
                    Some(reading) => reading.len(),
                    None => self.setup.locate()?.lanes(step, steps).len(),
                };
                (rows, (height, width))
            }
            Stage::Edit => {
                let lanes = lanes::needed(self.setup.apply()?.scales, &[]);
                (lanes.len(), of_window.unwrap_or((height, width)))
            }
            Stage::Find | Stage::Decode => return None,
        };
        Some(Shape {
            rows,
            height,
            width,
        })
    }

    /// Whether [`Edit::end`] of the next step takes long: where it makes segments of what was read.
    pub fn segments_next(&self) -> bool {
        let Some(locate) = self.setup.locate().filter(|_| self.stage == Stage::Locate) else {
            return false;
        };
        match self.reading() {
            Some(_) => self.segments(locate),
            None => {
                let (step, steps) = (self.run.step() + 1, self.run.steps());
                let reads = locate.reads(step, steps);
                reads.features && (!locate.reads(step + 1, steps).features || reads.last)
            }
        }
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
