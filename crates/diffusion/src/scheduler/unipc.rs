//! UniPC (Zhao et al., 2023): a predictor, and a corrector that reuses the next step's network call. B(h) versions 1 and 2.

use std::collections::HashMap;

use candle_core::{DType, Result, Tensor};

use super::config::{Prediction, SchedulerConfig, unsupported};
use super::multistep::Multistep;
use super::schedule::preserving;
use super::solver::{Outputs, Scheduler, restored, sum};
use super::spacing::Class;
use crate::Error;

pub(super) struct UniPc {
    run: Multistep,
    /// B(h) = h, in place of e^h - 1.
    first_version: bool,
    /// Steps after which the sample is not corrected.
    uncorrected: Vec<usize>,
    /// The corrected sample that the last step began with.
    began: Option<Tensor>,
}

impl UniPc {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> std::result::Result<Self, Error> {
        config.refuse(&["thresholding"])?;
        if !config.get("predict_x0", true)? {
            return Err(unsupported("predict_x0", false, "`true`"));
        }
        if config
            .get::<Option<serde_json::Value>>("solver_p", None)?
            .is_some()
        {
            return Err(unsupported("solver_p", "of its own", "`null`"));
        }
        let first_version = match config.get("solver_type", "bh2".to_owned())?.as_str() {
            "bh1" => true,
            "bh2" | "midpoint" | "heun" | "logrho" => false,
            other => return Err(unsupported("solver_type", other, "`bh1` or `bh2`")),
        };
        let run = Multistep::new(config, steps, Class::UniPc)?;
        if !run.lower_order_final && run.order > 1 && run.levels.sigmas[steps] == 0.0 {
            return Err(unsupported(
                "lower_order_final",
                false,
                "`true`, or final_sigmas_type `sigma_min`",
            ));
        }
        Ok(Self {
            run,
            first_version,
            uncorrected: config.get("disable_corrector", Vec::new())?,
            began: None,
        })
    }

    /// The order of `step`, lower at both ends of the trajectory.
    fn order_at(&self, step: usize) -> usize {
        let run = &self.run;
        let left = if run.lower_order_final {
            run.levels.timesteps.len() - step
        } else {
            run.order
        };
        run.order.min(left).min(step + 1)
    }

    /// From level `from` to the next: what the sample and the clean samples, newest first, are multiplied by. The
    /// corrector knows one clean sample more, that at the end of the step; its factor comes last.
    fn coefficients(&self, from: usize, order: usize, corrects: bool) -> (f64, Vec<f64>) {
        let lambda = |i: usize| self.run.lambda(i);
        let ((alpha, sigma), (_, sigma_from)) = (
            preserving(self.run.sigma(from + 1)),
            preserving(self.run.sigma(from)),
        );
        let h = lambda(from) - lambda(from + 1);
        let phi = h.exp_m1();
        let scale = if self.first_version { h } else { phi };
        let mut ratios: Vec<f64> = (1..order)
            .map(|i| (lambda(from) - lambda(from - i)) / h)
            .collect();
        ratios.extend(corrects.then_some(1.0));

        let mut past = vec![-alpha * phi];
        for (weight, ratio) in weights(&ratios, h, scale).into_iter().zip(&ratios) {
            let factor = -alpha * scale * weight / ratio;
            past[0] -= factor;
            past.push(factor);
        }
        (sigma / sigma_from, past)
    }

    /// The sample of `step` once more, knowing what the network says of it.
    fn corrected(&self, clean: &Tensor, step: usize, began: &Tensor) -> Result<Tensor> {
        let (keep, past) = self.coefficients(step - 1, self.order_at(step - 1), true);
        let known = self.run.outputs.newest();
        let known = known.take(past.len() - 1).chain([clean]);
        let mut terms = vec![(keep, began)];
        terms.extend(past.iter().copied().zip(known));
        sum(&terms)
    }
}

/// Weights of the divided differences: those for which the step is exact for polynomials of the clean sample in lambda
/// (eq. 11 of the paper: `R rho = b / B(h)`). One difference alone weighs a half.
fn weights(ratios: &[f64], h: f64, scale: f64) -> Vec<f64> {
    let n = ratios.len();
    if n < 2 {
        return vec![0.5; n];
    }
    let (mut phi, mut factorial) = (h.exp_m1() / h - 1.0, 1.0);
    let mut rows = Vec::with_capacity(n);
    for i in 0..n {
        let mut row: Vec<f64> = ratios.iter().map(|r| r.powi(i as i32)).collect();
        row.push(phi * factorial / scale);
        rows.push(row);
        factorial *= (i + 2) as f64;
        phi = phi / h - 1.0 / factorial;
    }
    solve(rows)
}

/// Solves a small system, given as rows with the right-hand side last, by elimination with pivots.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    for i in 0..n {
        let pivot = (i..n).fold(i, |best, j| {
            if rows[j][i].abs() > rows[best][i].abs() {
                j
            } else {
                best
            }
        });
        rows.swap(i, pivot);
        let by = rows[i].clone();
        for row in rows
            .iter_mut()
            .enumerate()
            .filter_map(|(j, row)| (j != i).then_some(row))
        {
            let factor = row[i] / by[i];
            row.iter_mut()
                .zip(&by)
                .for_each(|(value, by)| *value -= factor * by);
        }
    }
    (0..n).map(|i| rows[i][n] / rows[i][i]).collect()
}

impl Scheduler for UniPc {
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
        let sample = match self.began.take() {
            Some(began) if step > 0 && !self.uncorrected.contains(&(step - 1)) => {
                self.corrected(&clean, step, &began)?
            }
            _ => sample.to_dtype(DType::F32)?,
        };
        self.run.outputs.push(clean, self.run.order);
        let (keep, past) = self.coefficients(step, self.order_at(step), false);
        let next = self.run.outputs.sum(Some((keep, &sample)), &past)?;
        self.began = Some(sample);
        Ok(next)
    }

    fn history(&self) -> Vec<(String, Tensor)> {
        let mut out = self.run.outputs.history();
        out.extend(self.began.iter().map(|t| ("began".to_owned(), t.clone())));
        out
    }

    fn restore(&mut self, step: usize, history: &HashMap<String, Tensor>) -> Result<()> {
        self.run.outputs = Outputs::restored(history, step.min(self.run.order))?;
        self.began = (step > 0).then(|| restored(history, "began")).transpose()?;
        Ok(())
    }

    fn alpha_sigma(&self, step: usize) -> (f64, f64) {
        self.run.alpha_sigma(step)
    }
}
