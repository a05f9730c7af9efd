//! Euler's method (Karras et al., 2022, algorithm 1 without churn; k-diffusion's `sample_euler`).

use candle_core::{DType, Result, Tensor};

use super::config::{Prediction, SchedulerConfig, unsupported};
use super::schedule::{ZeroSnr, alphas_cumprod, preserving, sigmas};
use super::solver::{Scheduler, check, sum};
use super::spacing::{Rounding, broken_timesteps, final_sigma, initial_noise, interpolate, karras};
use crate::Error;

/// Samples here are `clean + sigma * noise`; the network is shown them divided by `sqrt(sigma^2 + 1)`.
pub(super) struct Euler {
    timesteps: Vec<f64>,
    /// One more than there are timesteps; f32 as diffusers keeps them.
    sigmas: Vec<f32>,
    init: f64,
    prediction: Prediction,
}

impl Euler {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> std::result::Result<Self, Error> {
        config.refuse(&["use_exponential_sigmas", "use_beta_sigmas"])?;
        let interpolation: String = config.get("interpolation_type", "linear".into())?;
        if interpolation != "linear" {
            return Err(unsupported("interpolation_type", interpolation, "`linear`"));
        }
        let prediction = config.prediction()?;
        let trained = sigmas(&alphas_cumprod(config, ZeroSnr::Finite)?);
        let (mut timesteps, leading) = broken_timesteps(config, trained.len(), steps)?;
        let mut visited: Vec<f32> = timesteps
            .iter()
            .map(|t| interpolate(&trained, *t) as f32)
            .collect();
        if config.get("use_karras_sigmas", false)? {
            // Between the first and the last level that would be visited without them.
            let ends = (visited[visited.len() - 1], visited[0]);
            let levels = karras(config, &trained, ends, steps, Rounding::None)?;
            (timesteps, visited) = (levels.timesteps, levels.sigmas);
        }
        let most = f64::from(visited.iter().copied().fold(0.0, f32::max));
        match config.get("timestep_type", "discrete".to_owned())?.as_str() {
            "discrete" => {}
            "continuous" if prediction == Prediction::V => {
                let time = |sigma: &f32| f64::from(0.25 * sigma.ln());
                timesteps = visited.iter().map(time).collect();
            }
            // Only networks that predict velocities are told the logarithm, in diffusers too.
            "continuous" => {}
            other => {
                return Err(unsupported(
                    "timestep_type",
                    other,
                    "`discrete` or `continuous`",
                ));
            }
        }
        visited.push(final_sigma(config, trained[0])?);
        Ok(Self {
            timesteps,
            sigmas: visited,
            init: initial_noise(most, leading),
            prediction,
        })
    }
}

impl Scheduler for Euler {
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
        sample.to_dtype(DType::F32)? * preserving(f64::from(self.sigmas[step])).0
    }

    fn step(
        &mut self,
        output: &Tensor,
        step: usize,
        sample: &Tensor,
        _noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        check(step, &self.timesteps)?;
        let (from, to) = (self.sigmas[step], self.sigmas[step + 1]);
        let by = f64::from(to - from);
        // The derivative of the sample by sigma is the noise in it.
        let (alpha, sigma) = preserving(f64::from(from));
        let (s, o) = self.prediction.noise((alpha, sigma));
        sum(&[(1.0 + by * s * alpha, sample), (by * o, output)])
    }

    fn alpha_sigma(&self, step: usize) -> (f64, f64) {
        let step = step.min(self.timesteps.len());
        (1.0, f64::from(self.sigmas[step]))
    }
}
