//! What DPM-Solver++, UniPC and DEIS share: they solve the diffusion ODE in the logarithm of signal over noise, from past clean
//! samples or, DEIS, past noises.

use candle_core::{Result, Tensor};

use super::config::{Prediction, SchedulerConfig, unsupported};
use super::schedule::preserving;
use super::solver::{Outputs, check, sum};
use super::spacing::{Class, Levels};
use crate::Error;

pub(super) struct Multistep {
    pub(super) levels: Levels,
    pub(super) prediction: Prediction,
    /// How many past outputs a step reads, 1 to 3.
    pub(super) order: usize,
    /// Whether the last steps are of lower order.
    pub(super) lower_order_final: bool,
    /// Past clean samples or noises, at most `order`.
    pub(super) outputs: Outputs,
}

impl Multistep {
    pub(super) fn new(
        config: &SchedulerConfig,
        steps: usize,
        class: Class,
    ) -> std::result::Result<Self, Error> {
        let order = config.get("solver_order", 2)?;
        if !(1..=3).contains(&order) {
            return Err(unsupported("solver_order", order, "1, 2 or 3"));
        }
        Ok(Self {
            levels: Levels::new(config, steps, class)?,
            prediction: config.prediction()?,
            order,
            lower_order_final: config.get("lower_order_final", true)?,
            outputs: Outputs::default(),
        })
    }

    /// Noise over signal on entry to step `i`.
    pub(super) fn sigma(&self, i: usize) -> f64 {
        f64::from(self.levels.sigmas[i])
    }

    /// `ln(alpha / sigma)` on entry to step `i`.
    pub(super) fn lambda(&self, i: usize) -> f64 {
        -self.sigma(i).ln()
    }

    /// The clean sample that the network's `output` implies.
    pub(super) fn clean(&self, output: &Tensor, step: usize, sample: &Tensor) -> Result<Tensor> {
        check(step, &self.levels.timesteps)?;
        let (s, o) = self.prediction.clean(preserving(self.sigma(step)));
        sum(&[(s, sample), (o, output)])
    }

    /// The noise that the network's `output` implies.
    pub(super) fn noise(&self, output: &Tensor, step: usize, sample: &Tensor) -> Result<Tensor> {
        check(step, &self.levels.timesteps)?;
        let (s, o) = self.prediction.noise(preserving(self.sigma(step)));
        sum(&[(s, sample), (o, output)])
    }

    /// `(alpha, sigma)` as [`Scheduler::alpha_sigma`](super::Scheduler::alpha_sigma) has it.
    pub(super) fn alpha_sigma(&self, step: usize) -> (f64, f64) {
        preserving(self.sigma(step.min(self.levels.timesteps.len())))
    }
}
