//! Euler's method with noise put back after each step (Karras et al., 2022; k-diffusion's `sample_euler_ancestral`).

use candle_core::{DType, Result, Tensor};

use super::config::{Prediction, SchedulerConfig};
use super::schedule::{ZeroSnr, alphas_cumprod, preserving, sigmas};
use super::solver::{Scheduler, check, sum};
use super::spacing::{broken_timesteps, initial_noise, interpolate};
use crate::Error;

/// Samples here are `clean + sigma * noise`; the network is shown them divided by `sqrt(sigma^2 + 1)`.
pub(super) struct EulerAncestral {
    timesteps: Vec<f64>,
    /// One more than there are timesteps; the last is 0.
    sigmas: Vec<f64>,
    init: f64,
    prediction: Prediction,
}

impl EulerAncestral {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> std::result::Result<Self, Error> {
        let prediction = config.prediction_not_sample()?;
        let trained = sigmas(&alphas_cumprod(config, ZeroSnr::Finite)?);
        let (timesteps, leading) = broken_timesteps(config, trained.len(), steps)?;
        let mut sigmas: Vec<f64> = timesteps
            .iter()
            .map(|t| f64::from(interpolate(&trained, *t) as f32))
            .collect();
        let most = sigmas.iter().copied().fold(0.0, f64::max);
        sigmas.push(0.0);
        Ok(Self {
            timesteps,
            sigmas,
            init: initial_noise(most, leading),
            prediction,
        })
    }
}

impl Scheduler for EulerAncestral {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    fn init_noise_sigma(&self) -> f64 {
        self.init
    }

    fn scale_model_input(&self, sample: &Tensor, step: usize) -> Result<Tensor> {
        check(step, &self.timesteps)?;
        sample.to_dtype(DType::F32)? * preserving(self.sigmas[step]).0
    }

    /// Always, the last step included, where it is drawn and multiplied by 0: as diffusers does.
    fn noise_needed(&self, _step: usize) -> bool {
        true
    }

    fn step(
        &mut self,
        output: &Tensor,
        step: usize,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        check(step, &self.timesteps)?;
        let Some(noise) = noise else {
            candle_core::bail!("euler-ancestral needs noise at step {step}")
        };
        let (from, to) = (self.sigmas[step], self.sigmas[step + 1]);
        let (up, down) = split(from as f32, to as f32);
        let by = f64::from(down - from as f32);
        // The derivative of the sample by sigma is the noise in it.
        let (alpha, sigma) = preserving(from);
        let (s, o) = self.prediction.noise((alpha, sigma));
        sum(&[
            (1.0 + by * s * alpha, sample),
            (by * o, output),
            (f64::from(up), noise),
        ])
    }

    fn alpha_sigma(&self, step: usize) -> (f64, f64) {
        (1.0, self.sigmas.get(step).copied().unwrap_or(0.0))
    }
}

/// How a step to noise level `to` splits: the noise that is put back, and the level to go down to before. In f32, because
/// with very noisy schedules diffusers' rounding of the difference is larger than the difference.
fn split(from: f32, to: f32) -> (f32, f32) {
    let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
    (up, (to * to - up * up).sqrt())
}
