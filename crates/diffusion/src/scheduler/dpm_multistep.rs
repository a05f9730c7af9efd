//! DPM-Solver++ (Lu et al., 2022), multistep, order 1 to 3, solving for the clean sample.

use std::collections::HashMap;

use candle_core::{Result, Tensor};

use super::config::{Prediction, SchedulerConfig, unsupported};
use super::schedule::preserving;
use super::spacing::Levels;
use super::{Scheduler, check, outputs_history, outputs_restored, sum};
use crate::Error;

pub(super) struct DpmMultistep {
    levels: Levels,
    prediction: Prediction,
    order: usize,
    heun: bool,
    lower_order_final: bool,
    euler_at_final: bool,
    /// Past clean samples, oldest first, at most `order`.
    outputs: Vec<Tensor>,
}

impl DpmMultistep {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> std::result::Result<Self, Error> {
        config.refuse(&["thresholding"])?;
        let algorithm: String = config.get("algorithm_type", "dpmsolver++".into())?;
        if !matches!(algorithm.as_str(), "dpmsolver++" | "deis") {
            return Err(unsupported("algorithm_type", algorithm, "`dpmsolver++`"));
        }
        if let Some(variance) = config.get::<Option<String>>("variance_type", None)? {
            return Err(unsupported(
                "variance_type",
                variance,
                "`null`: the network's output is the mean alone",
            ));
        }
        // Other classes' solver types mean the default, as in diffusers.
        let heun = match config.get("solver_type", "midpoint".to_owned())?.as_str() {
            "heun" => true,
            "midpoint" | "logrho" | "bh1" | "bh2" => false,
            other => return Err(unsupported("solver_type", other, "`midpoint` or `heun`")),
        };
        let order = config.get("solver_order", 2)?;
        if !(1..=3).contains(&order) {
            return Err(unsupported("solver_order", order, "1, 2 or 3"));
        }
        Ok(Self {
            levels: Levels::new(config, steps, true)?,
            prediction: config.prediction()?,
            order,
            heun,
            lower_order_final: config.get("lower_order_final", true)?,
            euler_at_final: config.get("euler_at_final", false)?,
            outputs: Vec::new(),
        })
    }

    fn sigma(&self, i: usize) -> f64 {
        f64::from(self.levels.sigmas[i])
    }

    /// Half the logarithm of the signal-to-noise ratio, `ln(alpha / sigma)`.
    fn lambda(&self, i: usize) -> f64 {
        -self.sigma(i).ln()
    }

    /// The order of `step`, lower at both ends of the trajectory.
    fn order_at(&self, step: usize) -> usize {
        let (count, short) = (
            self.levels.timesteps.len(),
            self.levels.timesteps.len() < 15,
        );
        let careful = self.lower_order_final && short;
        let most = if step + 1 == count
            && (self.euler_at_final || careful || self.levels.sigmas[count] == 0.0)
        {
            1
        } else if step + 2 == count && careful {
            2
        } else {
            3
        };
        self.order.min(most).min(step + 1)
    }

    /// What the sample and past clean samples, newest first, are multiplied by.
    fn coefficients(&self, step: usize) -> (f64, Vec<f64>) {
        let order = self.order_at(step);
        let ((alpha, sigma), (_, from)) = (
            preserving(self.sigma(step + 1)),
            preserving(self.sigma(step)),
        );
        let h = self.lambda(step + 1) - self.lambda(step);
        let e = (-h).exp_m1();
        let mut m = vec![-alpha * e];
        if order > 1 {
            let r0 = (self.lambda(step) - self.lambda(step - 1)) / h;
            // By the first and second divided differences of the clean samples.
            let first = if order == 3 || self.heun {
                alpha * (e / h + 1.0)
            } else {
                -0.5 * alpha * e
            };
            let d0 = 1.0 / r0;
            m[0] += first * d0;
            m.push(-first * d0);
            if order == 3 {
                let r1 = (self.lambda(step - 1) - self.lambda(step - 2)) / h;
                let second = -alpha * ((e + h) / (h * h) - 0.5);
                // What the difference of the two first differences counts for.
                let bend = first * (r0 / (r0 + r1)) + second / (r0 + r1);
                let d1 = 1.0 / r1;
                m[0] += bend * d0;
                m[1] -= bend * (d0 + d1);
                m.push(bend * d1);
            }
        }
        (sigma / from, m)
    }
}

impl Scheduler for DpmMultistep {
    fn timesteps(&self) -> &[f64] {
        &self.levels.timesteps
    }

    fn step(
        &mut self,
        output: &Tensor,
        step: usize,
        sample: &Tensor,
        _noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        check(step, &self.levels.timesteps)?;
        let (s, o) = self.prediction.clean(preserving(self.sigma(step)));
        self.outputs.push(sum(&[(s, sample), (o, output)])?);
        let extra = self.outputs.len().saturating_sub(self.order);
        self.outputs.drain(..extra);
        let (keep, past) = self.coefficients(step);
        let mut terms = vec![(keep, sample)];
        terms.extend(past.into_iter().zip(self.outputs.iter().rev()));
        sum(&terms)
    }

    fn history(&self) -> Vec<(String, Tensor)> {
        outputs_history(&self.outputs)
    }

    fn restore(&mut self, step: usize, history: &HashMap<String, Tensor>) -> Result<()> {
        self.outputs = outputs_restored(history, step.min(self.order))?;
        Ok(())
    }

    fn alpha_sigma(&self, step: usize) -> (f64, f64) {
        preserving(self.sigma(step.min(self.levels.timesteps.len())))
    }
}
