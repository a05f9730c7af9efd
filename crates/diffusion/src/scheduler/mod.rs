//! Trajectories as diffusers steps them: the same timesteps, the same scalings, the same history.
//!
//! # Layout
//!
//! | file | holds |
//! |---|---|
//! | `config.rs` | `scheduler_config.json`, each class with its own defaults |
//! | `schedule.rs` | betas, cumulative alphas, what the network predicts |
//! | `spacing.rs` | which timesteps are visited, and the noise level at each |
//! | `euler_ancestral.rs`, `ddim.rs`, `pndm.rs`, `dpm_multistep.rs`, `unipc.rs` | one solver each |
//!
//! A step of every solver is linear in the sample, the network's output and past outputs (DDIM's clipping aside), so
//! solvers only work out coefficients, in f64, from the same f32 noise levels that diffusers uses.

mod config;
mod ddim;
mod dpm_multistep;
mod euler_ancestral;
mod pndm;
mod schedule;
mod spacing;
mod unipc;

use std::collections::HashMap;

use candle_core::{DType, Result, Tensor};

use crate::Error;

pub use config::{Prediction, SchedulerConfig, SchedulerKind};
pub use spacing::Spacing;

/// One trajectory of a sample from noise to latents.
///
/// A `step` is one call of the network, counted from 0. Samples and outputs may be of any floating dtype; results are f32.
pub trait Scheduler: Send {
    /// The timestep that each call of the network is given.
    fn timesteps(&self) -> &[f64];

    /// What the first noise is multiplied by.
    fn init_noise_sigma(&self) -> f64 {
        1.0
    }

    /// The sample as the network wants it at `step`.
    fn scale_model_input(&self, sample: &Tensor, _step: usize) -> Result<Tensor> {
        sample.to_dtype(DType::F32)
    }

    /// Whether [`Scheduler::step`] wants standard normal noise, shaped as the sample, at `step`.
    fn noise_needed(&self, _step: usize) -> bool {
        false
    }

    /// The next sample. Steps are taken in order, each once.
    fn step(
        &mut self,
        output: &Tensor,
        step: usize,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor>;

    /// What later steps need from earlier ones, by name; with the next step's number and the sample it is the whole state.
    fn history(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// Makes this scheduler stand before `step`, as the one that gave `history`.
    fn restore(&mut self, _step: usize, _history: &HashMap<String, Tensor>) -> Result<()> {
        Ok(())
    }

    /// `(alpha, sigma)` such that the sample on entry to `step` is `alpha * clean + sigma * noise`, before
    /// [`Scheduler::scale_model_input`]. `step` may be the number of steps: the state after the last.
    fn alpha_sigma(&self, step: usize) -> (f64, f64);
}

/// The scheduler of `config`, or of another class with what the config says of it (as diffusers' `from_config`).
///
/// # Errors
///
/// Names the key of `scheduler_config.json` whose value matters here and is not supported, and what to choose instead.
pub fn build(
    config: &SchedulerConfig,
    kind: Option<SchedulerKind>,
    steps: usize,
) -> std::result::Result<Box<dyn Scheduler>, Error> {
    let kind = match kind {
        Some(kind) => kind,
        None => config.class()?,
    };
    let most = config.num_train_timesteps()?;
    if steps == 0 || steps > most {
        return Err(Error::Scheduler(format!(
            "{steps} steps cannot be taken: choose 1 to {most}"
        )));
    }
    Ok(match kind {
        SchedulerKind::EulerAncestral => {
            Box::new(euler_ancestral::EulerAncestral::new(config, steps)?)
        }
        SchedulerKind::Ddim => Box::new(ddim::Ddim::new(config, steps)?),
        SchedulerKind::Pndm => Box::new(pndm::Pndm::new(config, steps)?),
        SchedulerKind::DpmSolverMultistep => {
            Box::new(dpm_multistep::DpmMultistep::new(config, steps)?)
        }
        SchedulerKind::UniPc => Box::new(unipc::UniPc::new(config, steps)?),
    })
}

/// `sum of factor * tensor`, in f32.
fn sum(terms: &[(f64, &Tensor)]) -> Result<Tensor> {
    let mut total: Option<Tensor> = None;
    for (factor, tensor) in terms {
        let term = (tensor.to_dtype(DType::F32)? * *factor)?;
        total = Some(match total {
            Some(total) => (total + term)?,
            None => term,
        });
    }
    match total {
        Some(total) => Ok(total),
        None => candle_core::bail!("a sum of nothing"),
    }
}

/// Refuses a step that the trajectory does not have.
fn check(step: usize, timesteps: &[f64]) -> Result<()> {
    if step >= timesteps.len() {
        candle_core::bail!("step {step} of a trajectory of {}", timesteps.len());
    }
    Ok(())
}

/// Past outputs under the names `output.0`, `output.1`, ..., oldest first.
fn outputs_history(outputs: &[Tensor]) -> Vec<(String, Tensor)> {
    outputs
        .iter()
        .enumerate()
        .map(|(i, t)| (format!("output.{i}"), t.clone()))
        .collect()
}

/// The reverse of [`outputs_history`]: `count` outputs, or an error that names the missing one.
fn outputs_restored(history: &HashMap<String, Tensor>, count: usize) -> Result<Vec<Tensor>> {
    (0..count)
        .map(|i| restored(history, &format!("output.{i}")))
        .collect()
}

/// A tensor of a saved history.
fn restored(history: &HashMap<String, Tensor>, name: &str) -> Result<Tensor> {
    match history.get(name) {
        Some(tensor) => Ok(tensor.clone()),
        None => candle_core::bail!(
            "the saved scheduler lacks {name}: it was saved by another scheduler or at another step"
        ),
    }
}
