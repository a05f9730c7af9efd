//! Pseudo numerical methods (Liu et al., 2022): linear multistep, after a Runge-Kutta start unless that is skipped.

use std::collections::HashMap;

use candle_core::{DType, Result, Tensor};

use super::config::{Prediction, SchedulerConfig};
use super::ddim::{roots, whole_timesteps};
use super::schedule::{ZeroSnr, alphas_cumprod};
use super::solver::{Outputs, Scheduler, check, restored, sum};
use crate::Error;

/// Past outputs that the fourth-order step reads.
const KEPT: usize = 4;

pub(super) struct Pndm {
    timesteps: Vec<f64>,
    /// Network calls of the Runge-Kutta start: 12, or 0 when it is skipped.
    start: usize,
    /// Training steps that one whole step spans.
    gap: i64,
    alphas: Vec<f32>,
    last: f32,
    prediction: Prediction,
    /// At most [`KEPT`].
    outputs: Outputs,
    /// The sample that a step in several calls began with.
    began: Option<Tensor>,
    /// Running sum of a Runge-Kutta step.
    running: Option<Tensor>,
}

impl Pndm {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> std::result::Result<Self, Error> {
        let prediction = config.prediction_not_sample()?;
        let alphas = alphas_cumprod(config, ZeroSnr::Ignored)?;
        let descending = whole_timesteps(config, alphas.len(), steps)?;
        let gap = alphas.len() / steps;
        let skip = config.get("skip_prk_steps", false)?;
        if !skip && steps < 4 {
            return Err(Error::Scheduler(
                "pndm with skip_prk_steps `false` takes 4 steps or more".into(),
            ));
        }
        let timesteps = if skip {
            repeated(&descending)
        } else {
            runge_kutta(&descending, (gap / 2) as f64)
        };
        if timesteps.iter().any(|t| *t >= alphas.len() as f64) {
            return Err(Error::Scheduler(format!(
                "{steps} steps put a timestep past {}: choose skip_prk_steps `true`",
                alphas.len() - 1
            )));
        }
        let last = if config.get("set_alpha_to_one", false)? {
            1.0
        } else {
            alphas[0]
        };
        let start = if skip { 0 } else { 12 };
        Ok(Self {
            timesteps,
            start,
            gap: gap as i64,
            alphas,
            last,
            prediction,
            outputs: Outputs::default(),
            began: None,
            running: None,
        })
    }

    /// Cumulative alpha at a timestep; before the first, the final one.
    fn cumulative(&self, timestep: i64) -> f32 {
        match usize::try_from(timestep) {
            Ok(t) => self.alphas[t.min(self.alphas.len() - 1)],
            Err(_) => self.last,
        }
    }

    /// The timestep that the sample stands at after `step`.
    fn reached(&self, step: usize) -> i64 {
        let by = match step {
            _ if step < self.start => (self.gap / 2) * i64::from(step.is_multiple_of(2)),
            1 if self.start == 0 => 0,
            _ => self.gap,
        };
        self.timesteps[step] as i64 - by
    }

    /// Eq. 9 of the paper: from one timestep to another along an output.
    fn transfer(&self, sample: &Tensor, from: i64, to: i64, output: &Tensor) -> Result<Tensor> {
        let (a, b) = (
            f64::from(self.cumulative(from)),
            f64::from(self.cumulative(to)),
        );
        let (s, o) = self.prediction.noise(roots(self.cumulative(from)));
        let along = -(b - a) / (a * (1.0 - b).sqrt() + (a * (1.0 - a) * b).sqrt());
        sum(&[((b / a).sqrt() + along * s, sample), (along * o, output)])
    }

    fn step_runge_kutta(
        &mut self,
        output: &Tensor,
        step: usize,
        sample: &Tensor,
    ) -> Result<Tensor> {
        let (from, to) = (self.timesteps[step / 4 * 4] as i64, self.reached(step));
        let weight = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0][step % 4];
        let total = match self.running.take() {
            Some(running) => sum(&[(1.0, &running), (weight, output)])?,
            None => sum(&[(weight, output)])?,
        };
        if step.is_multiple_of(4) {
            self.outputs.push(output.clone(), KEPT);
            self.began = Some(sample.clone());
        }
        let Some(began) = self.began.take() else {
            candle_core::bail!("pndm: step {step} without the step before")
        };
        if step % 4 == 3 {
            return self.transfer(&began, from, to, &total);
        }
        let next = self.transfer(&began, from, to, output)?;
        self.running = Some(total);
        self.began = Some(began);
        Ok(next)
    }

    fn step_multistep(&mut self, output: &Tensor, step: usize, sample: &Tensor) -> Result<Tensor> {
        let t = self.timesteps[step] as i64;
        // The second call repeats the first step, now with the mean of both outputs.
        if self.start == 0 && step == 1 {
            let (Some(began), Some(first)) = (self.began.take(), self.outputs.newest().next())
            else {
                candle_core::bail!("pndm: step 1 without step 0")
            };
            let mean = sum(&[(0.5, output), (0.5, first)])?;
            return self.transfer(&began, t + self.gap, self.reached(step), &mean);
        }
        if self.start == 0 && step == 0 {
            self.began = Some(sample.clone());
        }
        self.outputs.push(output.clone(), KEPT);
        // Adams-Bashforth, newest first.
        let weights: &[f64] = match self.outputs.len() {
            1 => &[1.0],
            2 => &[1.5, -0.5],
            3 => &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
            _ => &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
        };
        let along = self.outputs.sum(None, weights)?;
        self.transfer(sample, t, self.reached(step), &along)
    }
}

/// The second timestep twice: the first step is taken twice.
fn repeated(descending: &[f64]) -> Vec<f64> {
    let second = descending.get(1);
    let mut timesteps = descending.to_vec();
    if let Some(second) = second {
        timesteps.insert(1, *second);
    }
    timesteps
}

/// Four calls for each of the first three steps: at its start, twice half-way, at its end.
fn runge_kutta(descending: &[f64], half: f64) -> Vec<f64> {
    let steps = descending.windows(2).take(3);
    let start = steps.flat_map(|pair| [pair[0], pair[1] + half, pair[1] + half, pair[1]]);
    start.chain(descending[3..].iter().copied()).collect()
}

impl Scheduler for Pndm {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    fn step(
        &mut self,
        output: &Tensor,
        step: usize,
        sample: &Tensor,
        _noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        check(step, &self.timesteps)?;
        let (output, sample) = (output.to_dtype(DType::F32)?, sample.to_dtype(DType::F32)?);
        if step < self.start {
            self.step_runge_kutta(&output, step, &sample)
        } else {
            self.step_multistep(&output, step, &sample)
        }
    }

    fn history(&self) -> Vec<(String, Tensor)> {
        let mut out = self.outputs.history();
        out.extend(self.began.iter().map(|t| ("began".to_owned(), t.clone())));
        out.extend(
            self.running
                .iter()
                .map(|t| ("running".to_owned(), t.clone())),
        );
        out
    }

    fn restore(&mut self, step: usize, history: &HashMap<String, Tensor>) -> Result<()> {
        let begun = step.min(self.start).div_ceil(4);
        let multistep = step.saturating_sub(self.start);
        // The repeated second call adds no output.
        let added = if self.start == 0 && multistep > 1 {
            multistep - 1
        } else {
            multistep
        };
        self.outputs = Outputs::restored(history, (begun + added).min(KEPT))?;
        let inside = step < self.start && !step.is_multiple_of(4);
        self.running = inside.then(|| restored(history, "running")).transpose()?;
        let repeating = self.start == 0 && step == 1;
        self.began = (inside || repeating)
            .then(|| restored(history, "began"))
            .transpose()?;
        Ok(())
    }

    fn alpha_sigma(&self, step: usize) -> (f64, f64) {
        // Not always the level of the next timestep: a step spans whole training steps, the spacing may not.
        match step.min(self.timesteps.len()).checked_sub(1) {
            Some(before) => roots(self.cumulative(self.reached(before))),
            None => roots(self.cumulative(self.timesteps[0] as i64)),
        }
    }
}
