//! DEIS (Zhang and Chen, 2023), multistep, order 1 to 3: the noise as a polynomial in the logarithm of rho, noise over signal.

use std::collections::HashMap;

use candle_core::{Result, Tensor};

use super::config::{Prediction, SchedulerConfig, unsupported};
use super::multistep::Multistep;
use super::schedule::preserving;
use super::solver::{Outputs, Scheduler};
use super::spacing::Class;
use crate::Error;

pub(super) struct Deis {
    run: Multistep,
}

impl Deis {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> std::result::Result<Self, Error> {
        config.refuse(&["thresholding"])?;
        // Other classes' names mean the default, as in diffusers.
        let algorithm: String = config.get("algorithm_type", "deis".into())?;
        if !matches!(algorithm.as_str(), "deis" | "dpmsolver" | "dpmsolver++") {
            return Err(unsupported("algorithm_type", algorithm, "`deis`"));
        }
        match config.get("solver_type", "logrho".to_owned())?.as_str() {
            "logrho" | "midpoint" | "heun" | "bh1" | "bh2" => {}
            other => return Err(unsupported("solver_type", other, "`logrho`")),
        }
        Ok(Self {
            run: Multistep::new(config, steps, Class::Deis)?,
        })
    }

    /// The order of `step`, lower at both ends of the trajectory.
    fn order_at(&self, step: usize) -> usize {
        let count = self.run.levels.timesteps.len();
        let left = if self.run.lower_order_final && count < 15 {
            count - step
        } else {
            self.run.order
        };
        self.run.order.min(left).min(step + 1)
    }

    /// What the past noises, the newest first, are multiplied by: the integrals over the step of the polynomials that are 1
    /// at one of their levels and 0 at the others.
    fn weights(&self, step: usize) -> Vec<f64> {
        let rho = |i: usize| self.run.sigma(i);
        let (from, to) = (rho(step), rho(step + 1));
        // Integrals of 1, ln t and (ln t)^2.
        let powers = |t: f64| {
            let log = t.ln();
            [t, t * (log - 1.0), t * (log * log - 2.0 * log + 2.0)]
        };
        let (low, high) = (powers(from), powers(to));
        let [one, log, square] = [0, 1, 2].map(|i| high[i] - low[i]);
        let b = from.ln();
        let at = |back: usize| rho(step - back).ln();
        match self.order_at(step) {
            1 => vec![one],
            2 => {
                let c = at(1);
                let weight = |b: f64, c: f64| (log - c * one) / (b - c);
                vec![weight(b, c), weight(c, b)]
            }
            _ => {
                let (c, d) = (at(1), at(2));
                let weight = |b: f64, c: f64, d: f64| {
                    (square - (c + d) * log + c * d * one) / ((b - c) * (b - d))
                };
                vec![weight(b, c, d), weight(c, d, b), weight(d, b, c)]
            }
        }
    }
}

impl Scheduler for Deis {
    fn timesteps(&self) -> &[f64] {
        &self.run.levels.timesteps
    }

    fn prediction(&self) -> Prediction {
        self.run.prediction
    }

    fn step(
        &mut self,
        output: &Tensor,
        step: usize,
        sample: &Tensor,
        _noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        let noise = self.run.noise(output, step, sample)?;
        self.run.outputs.push(noise, self.run.order);
        let (alpha, _) = preserving(self.run.sigma(step + 1));
        let (alpha_from, _) = preserving(self.run.sigma(step));
        let weights = self.weights(step).into_iter();
        let past: Vec<f64> = weights.map(|weight| alpha * weight).collect();
        self.run
            .outputs
            .sum(Some((alpha / alpha_from, sample)), &past)
    }

    fn history(&self) -> Vec<(String, Tensor)> {
        self.run.outputs.history()
    }

    fn restore(&mut self, step: usize, history: &HashMap<String, Tensor>) -> Result<()> {
        self.run.outputs = Outputs::restored(history, step.min(self.run.order))?;
        Ok(())
    }

    fn alpha_sigma(&self, step: usize) -> (f64, f64) {
        self.run.alpha_sigma(step)
    }
}
