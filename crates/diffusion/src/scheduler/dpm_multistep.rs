//! DPM-Solver++ (Lu et al., 2022), multistep, order 1 to 3, solving for the clean sample.

use std::collections::HashMap;

use candle_core::{Result, Tensor};

use super::config::{Prediction, SchedulerConfig, unsupported};
use super::multistep::Multistep;
use super::schedule::preserving;
use super::solver::{Outputs, Scheduler};
use super::spacing::Class;
use crate::Error;

pub(super) struct DpmMultistep {
    run: Multistep,
    heun: bool,
    euler_at_final: bool,
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
        Ok(Self {
            run: Multistep::new(config, steps, Class::Dpm)?,
            heun,
            euler_at_final: config.get("euler_at_final", false)?,
        })
    }

    /// The order of `step`, lower at both ends of the trajectory.
    fn order_at(&self, step: usize) -> usize {
        let count = self.run.levels.timesteps.len();
        let careful = self.run.lower_order_final && count < 15;
        let most = if step + 1 == count
            && (self.euler_at_final || careful || self.run.levels.sigmas[count] == 0.0)
        {
            1
        } else if step + 2 == count && careful {
            2
        } else {
            3
        };
        self.run.order.min(most).min(step + 1)
    }

    /// What the sample and past clean samples, newest first, are multiplied by.
    fn coefficients(&self, step: usize) -> (f64, Vec<f64>) {
        let order = self.order_at(step);
        let run = &self.run;
        let ((alpha, sigma), (_, from)) =
            (preserving(run.sigma(step + 1)), preserving(run.sigma(step)));
        let h = run.lambda(step + 1) - run.lambda(step);
        let e = (-h).exp_m1();
        let mut m = vec![-alpha * e];
        if order > 1 {
            let r0 = (run.lambda(step) - run.lambda(step - 1)) / h;
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
                let r1 = (run.lambda(step - 1) - run.lambda(step - 2)) / h;
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
        let clean = self.run.clean(output, step, sample)?;
        self.run.outputs.push(clean, self.run.order);
        let (keep, past) = self.coefficients(step);
        self.run.outputs.sum(Some((keep, sample)), &past)
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
