//! Trajectories as diffusers steps them: the same timesteps, the same scalings, the same history.
//!
//! # Layout
//!
//! | file | holds |
//! |---|---|
//! | `solver.rs` | [`Scheduler`], and what solvers are made of |
//! | `kind.rs`, `config.rs` | the classes; `scheduler_config.json`, in which each class has its own defaults |
//! | `schedule.rs` | betas, cumulative alphas, what the network predicts |
//! | `spacing.rs` | which timesteps are visited, and the noise level at each |
//! | `euler.rs`, `euler_ancestral.rs`, `ddim.rs`, `pndm.rs` | one solver each |
//! | `multistep.rs` | what the solvers of the diffusion ODE share |
//! | `dpm_multistep.rs`, `unipc.rs`, `deis.rs` | these solvers |
//!
//! A step of every solver is linear in the sample, the network's output and past outputs (DDIM's clipping aside), so
//! solvers only work out coefficients, in f64, from the same f32 noise levels that diffusers uses.

mod config;
mod ddim;
mod deis;
mod dpm_multistep;
mod euler;
mod euler_ancestral;
mod kind;
mod multistep;
mod pndm;
mod schedule;
mod solver;
mod spacing;
mod unipc;

use crate::Error;

pub use config::{Prediction, SchedulerConfig, Spacing};
pub use kind::SchedulerKind;
pub use schedule::TrainingLevel;
pub use solver::Scheduler;

/// The scheduler of `config`, or of another class with what the config says of it (as diffusers' `from_config`).
///
/// # Errors
///
/// Names the key of `scheduler_config.json` whose value matters here and is not supported, and what to choose instead.
pub fn build(
    config: &SchedulerConfig,
    kind: Option<SchedulerKind>,
    steps: usize,
) -> Result<Box<dyn Scheduler>, Error> {
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
        SchedulerKind::Euler => Box::new(euler::Euler::new(config, steps)?),
        SchedulerKind::Deis => Box::new(deis::Deis::new(config, steps)?),
    })
}
