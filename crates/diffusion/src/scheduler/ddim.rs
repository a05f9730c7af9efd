//! Denoising diffusion implicit models (Song et al., 2021), eq. 12 and 16 with eta 0.

use candle_core::{Result, Tensor};

use super::config::{Prediction, SchedulerConfig, Spacing, unsupported};
use super::schedule::{ZeroSnr, alphas_cumprod};
use super::solver::{Scheduler, check, sum};
use super::spacing::Grid;
use crate::Error;

pub(super) struct Ddim {
    timesteps: Vec<f64>,
    /// `(alpha, sigma)` at each timestep.
    at: Vec<(f64, f64)>,
    /// `(alpha, sigma)` that each step ends at.
    to: Vec<(f64, f64)>,
    prediction: Prediction,
    clip: Option<f64>,
}

/// `(alpha, sigma)` of a cumulative alpha.
pub(super) fn roots(cumulative: f32) -> (f64, f64) {
    let a = f64::from(cumulative);
    (a.sqrt(), (1.0 - a).sqrt())
}

/// Whole timesteps, each among the training steps.
pub(super) fn whole_timesteps(
    config: &SchedulerConfig,
    train: usize,
    steps: usize,
) -> std::result::Result<Vec<f64>, Error> {
    let grid = Grid {
        train,
        last: train,
        offset: config.get("steps_offset", 0)?,
        spare: 0,
    };
    let spacing = config.spacing()?.unwrap_or(Spacing::Leading);
    let timesteps: Vec<f64> = grid
        .timesteps(spacing, steps)
        .into_iter()
        .map(f64::round_ties_even)
        .collect();
    match timesteps.first() {
        Some(t) if *t < train as f64 => Ok(timesteps),
        _ => Err(Error::Scheduler(format!(
            "steps_offset puts a timestep past {}: choose fewer steps, or timestep_spacing `trailing`",
            train - 1
        ))),
    }
}

impl Ddim {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> std::result::Result<Self, Error> {
        config.refuse(&["thresholding"])?;
        let alphas = alphas_cumprod(config, ZeroSnr::Exact)?;
        let prediction = config.prediction()?;
        if alphas.last() == Some(&0.0) && prediction == Prediction::Epsilon {
            return Err(unsupported(
                "rescale_betas_zero_snr",
                true,
                "`false`: pure noise says nothing to a network that predicts noise",
            ));
        }
        let timesteps = whole_timesteps(config, alphas.len(), steps)?;
        let last = if config.get("set_alpha_to_one", true)? {
            1.0
        } else {
            alphas[0]
        };
        let gap = (alphas.len() / steps) as f64;
        let before = |t: &f64| {
            if t - gap >= 0.0 {
                alphas[(t - gap) as usize]
            } else {
                last
            }
        };
        let clip = if config.get("clip_sample", true)? {
            Some(config.get("clip_sample_range", 1.0)?)
        } else {
            None
        };
        Ok(Self {
            at: timesteps
                .iter()
                .map(|t| roots(alphas[*t as usize]))
                .collect(),
            to: timesteps.iter().map(|t| roots(before(t))).collect(),
            timesteps,
            prediction,
            clip,
        })
    }
}

impl Scheduler for Ddim {
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
        let (clean_s, clean_o) = self.prediction.clean(self.at[step]);
        let (noise_s, noise_o) = self.prediction.noise(self.at[step]);
        let (alpha, sigma) = self.to[step];
        match self.clip {
            None => sum(&[
                (alpha * clean_s + sigma * noise_s, sample),
                (alpha * clean_o + sigma * noise_o, output),
            ]),
            Some(range) => {
                let clean = sum(&[(clean_s, sample), (clean_o, output)])?.clamp(-range, range)?;
                sum(&[
                    (alpha, &clean),
                    (sigma * noise_s, sample),
                    (sigma * noise_o, output),
                ])
            }
        }
    }

    fn alpha_sigma(&self, step: usize) -> (f64, f64) {
        // Not always the level of the next timestep: a step spans whole training steps, the spacing may not.
        match step.min(self.to.len()).checked_sub(1) {
            Some(before) => self.to[before],
            None => self.at[0],
        }
    }
}
