//! The noise that the network was trained on, and what its output says about a sample.

use super::config::{Prediction, SchedulerConfig, unsupported};
use crate::Error;

/// What becomes of `rescale_betas_zero_snr` (Lin et al., 2023, algorithm 1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ZeroSnr {
    /// The class does not know it.
    Ignored,
    /// The last cumulative alpha is 0.
    Exact,
    /// The last cumulative alpha is 2^-24, so that the noise level stays finite.
    Finite,
}

/// Cumulative alphas over the training steps, f32 as diffusers keeps them.
pub(super) fn alphas_cumprod(
    config: &SchedulerConfig,
    zero_snr: ZeroSnr,
) -> Result<Vec<f32>, Error> {
    let betas = betas(config)?;
    if betas.len() < 2 || betas.iter().any(|b| !(*b > 0.0 && *b < 1.0)) {
        return Err(Error::Scheduler(
            "the betas are not all between 0 and 1: see beta_start, beta_end and trained_betas"
                .into(),
        ));
    }
    let alphas = cumprod(betas.iter().map(|b| 1.0 - b));
    if zero_snr == ZeroSnr::Ignored || !config.get("rescale_betas_zero_snr", false)? {
        return Ok(alphas);
    }
    let roots: Vec<f32> = alphas.iter().map(|a| a.sqrt()).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let rescaled: Vec<f32> = roots
        .iter()
        .map(|r| (r - last) * (first / (first - last)))
        .map(|r| r * r)
        .collect();
    // diffusers goes back to betas and multiplies up again; so does this, for the same rounding.
    let ratios = (0..rescaled.len()).map(|i| {
        if i == 0 {
            rescaled[0]
        } else {
            rescaled[i] / rescaled[i - 1]
        }
    });
    let mut alphas = cumprod(ratios.map(|a| 1.0 - (1.0 - a)));
    if let (ZeroSnr::Finite, Some(last)) = (zero_snr, alphas.last_mut()) {
        *last = 2f32.powi(-24);
    }
    Ok(alphas)
}

fn betas(config: &SchedulerConfig) -> Result<Vec<f32>, Error> {
    let trained: Option<Vec<f32>> = config.get("trained_betas", None)?;
    let n = config.num_train_timesteps()?;
    if let Some(betas) = trained {
        return if betas.len() == n {
            Ok(betas)
        } else {
            Err(Error::Scheduler(format!(
                "trained_betas has {} values, num_train_timesteps says {n}",
                betas.len()
            )))
        };
    }
    let (start, end): (f64, f64) = (
        config.get("beta_start", 1e-4)?,
        config.get("beta_end", 0.02)?,
    );
    match config.get("beta_schedule", "linear".to_owned())?.as_str() {
        "linear" => Ok(linspace(start, end, n)),
        "scaled_linear" => Ok(linspace(start.sqrt(), end.sqrt(), n)
            .into_iter()
            .map(|b| b * b)
            .collect()),
        "squaredcos_cap_v2" => {
            let bar = |i: usize| {
                ((i as f64 / n as f64 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2)
                    .cos()
                    .powi(2)
            };
            Ok((0..n)
                .map(|i| (1.0 - bar(i + 1) / bar(i)).min(0.999) as f32)
                .collect())
        }
        other => Err(unsupported(
            "beta_schedule",
            other,
            "`linear`, `scaled_linear` or `squaredcos_cap_v2`",
        )),
    }
}

/// A noise level that the network was trained at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingLevel {
    /// What the clean latents are multiplied by, sqrt(a_t).
    pub alpha: f64,
    /// What the noise is multiplied by, sqrt(1 - a_t).
    pub sigma: f64,
    /// What a difference of two outputs for one sample is multiplied by to be a difference of predicted noises.
    pub noise_per_output: f64,
}

impl SchedulerConfig {
    /// The noise level of a training timestep, by the checkpoint's own betas.
    ///
    /// # Errors
    ///
    /// When the network has no such timestep, or the config is not supported.
    pub fn training_level(&self, timestep: usize) -> Result<TrainingLevel, Error> {
        let alphas = alphas_cumprod(self, ZeroSnr::Exact)?;
        let alpha = *alphas.get(timestep).ok_or_else(|| {
            Error::Scheduler(format!(
                "timestep {timestep} was not trained: choose 0 to {}",
                alphas.len() - 1
            ))
        })?;
        let (alpha, sigma) = (f64::from(alpha).sqrt(), (1.0 - f64::from(alpha)).sqrt());
        let (_, noise_per_output) = self.prediction()?.noise((alpha, sigma));
        Ok(TrainingLevel {
            alpha,
            sigma,
            noise_per_output,
        })
    }
}

/// As torch makes it: f32, from both ends towards the middle.
fn linspace(start: f64, end: f64, n: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / (n - 1) as f32;
    (0..n)
        .map(|i| {
            if i < n / 2 {
                start + step * i as f32
            } else {
                end - step * (n - 1 - i) as f32
            }
        })
        .collect()
}

/// As torch's on a CPU: f32 in and out, accumulated in f64.
fn cumprod(factors: impl Iterator<Item = f32>) -> Vec<f32> {
    factors
        .scan(1f64, |product, factor| {
            *product *= f64::from(factor);
            Some(*product as f32)
        })
        .collect()
}

/// Noise level over signal, `sqrt((1 - a) / a)`, for each training step.
pub(super) fn sigmas(alphas: &[f32]) -> Vec<f32> {
    alphas.iter().map(|a| ((1.0 - a) / a).sqrt()).collect()
}

/// `(alpha, sigma)` of a variance-preserving sample whose noise is `sigma` times its signal.
pub(super) fn preserving(sigma: f64) -> (f64, f64) {
    let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
    (alpha, sigma * alpha)
}

impl Prediction {
    /// `(s, o)` such that the clean sample is `s * sample + o * output`, for `sample = alpha * clean + sigma * noise`
    /// with `alpha^2 + sigma^2 = 1`.
    pub(super) fn clean(self, (alpha, sigma): (f64, f64)) -> (f64, f64) {
        match self {
            Self::Epsilon => (1.0 / alpha, -sigma / alpha),
            Self::V => (alpha, -sigma),
            Self::Sample => (0.0, 1.0),
        }
    }

    /// `(s, o)` such that the noise is `s * sample + o * output`.
    pub(super) fn noise(self, (alpha, sigma): (f64, f64)) -> (f64, f64) {
        match self {
            Self::Epsilon => (0.0, 1.0),
            Self::V => (sigma, alpha),
            Self::Sample => (1.0 / sigma, -alpha / sigma),
        }
    }
}
