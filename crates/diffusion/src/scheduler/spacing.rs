//! Which timesteps are visited (Lin et al., 2023, table 2) and the noise level at each, rounded as numpy rounds.

use super::config::{SchedulerConfig, Spacing, unsupported};
use super::schedule;
use crate::Error;

/// The grid to choose timesteps from.
pub(super) struct Grid {
    /// How many steps the network was trained on.
    pub(super) train: usize,
    /// Training steps below this one are used.
    pub(super) last: usize,
    /// Added to `leading` timesteps.
    pub(super) offset: usize,
    /// Points past the clean end that are laid out and not visited.
    pub(super) spare: usize,
}

impl Grid {
    /// `steps` timesteps, the noisiest first, not rounded for `Linspace`.
    pub(super) fn timesteps(&self, spacing: Spacing, steps: usize) -> Vec<f64> {
        let points = steps + self.spare;
        match spacing {
            Spacing::Linspace => {
                let (end, gaps) = ((self.last - 1) as f64, (points - 1) as f64);
                let at = |i: usize| {
                    if i + 1 == points && points > 1 {
                        end
                    } else {
                        i as f64 * (end / gaps.max(1.0))
                    }
                };
                (self.spare..points).rev().map(at).collect()
            }
            Spacing::Leading => {
                let gap = self.last / points;
                (self.spare..points)
                    .rev()
                    .map(|i| (i * gap + self.offset) as f64)
                    .collect()
            }
            Spacing::Trailing => {
                // numpy's arange(last, 0, -gap). For some step counts (61, 103, ...) rounding gives it one point more, at
                // timestep -1; diffusers then reads the noisiest level for the cleanest, which nobody can want.
                let (first, gap) = (self.last as f64, self.train as f64 / steps as f64);
                let (delta, count) = ((first - gap) - first, (first / gap).ceil() as usize);
                (0..count.min(steps))
                    .map(|i| (first + i as f64 * delta).round_ties_even() - 1.0)
                    .collect()
            }
        }
    }
}

/// numpy's `interp` of `values` at whole and broken places, ends held.
pub(super) fn interpolate(values: &[f32], at: f64) -> f64 {
    let last = values.len() - 1;
    let low = (at.max(0.0).floor() as usize).min(last);
    let (a, b) = (
        f64::from(values[low]),
        f64::from(values[(low + 1).min(last)]),
    );
    (b - a) * (at.max(0.0) - low as f64).min(1.0) + a
}

/// Timesteps, and the noise level at each and after the last, of the multistep solvers.
pub(super) struct Levels {
    /// Timesteps, rounded to whole ones.
    pub(super) timesteps: Vec<f64>,
    /// One more than there are timesteps; f32 as diffusers keeps them.
    pub(super) sigmas: Vec<f32>,
}

/// What the classes of multistep solvers differ in here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It knows `lambda_min_clipped`, and does not round timesteps of a cosine schedule.
    Dpm,
    /// It knows neither.
    UniPc,
    /// As UniPC; and it does not end at zero, whatever `final_sigmas_type` says.
    Deis,
}

impl Levels {
    pub(super) fn new(config: &SchedulerConfig, steps: usize, class: Class) -> Result<Self, Error> {
        let clips = class == Class::Dpm;
        config.refuse(&[
            "use_exponential_sigmas",
            "use_beta_sigmas",
            "use_lu_lambdas",
            "use_flow_sigmas",
            "use_dynamic_shifting",
        ])?;
        let alphas = schedule::alphas_cumprod(config, schedule::ZeroSnr::Finite)?;
        let trained = schedule::sigmas(&alphas);
        let karras_levels = config.get("use_karras_sigmas", false)?;
        let mut levels = if karras_levels {
            let whole =
                !clips || config.get("beta_schedule", String::new())? != "squaredcos_cap_v2";
            let rounding = if whole {
                Rounding::Whole
            } else {
                Rounding::Down
            };
            let ends = (trained[0], trained[trained.len() - 1]);
            karras(config, &trained, ends, steps, rounding)?
        } else {
            let least: f64 = if clips {
                config.get("lambda_min_clipped", f64::NEG_INFINITY)?
            } else {
                f64::NEG_INFINITY
            };
            let clipped = trained
                .iter()
                .filter(|s| -f64::from(**s).ln() < least)
                .count();
            let grid = Grid {
                train: trained.len(),
                last: trained.len() - clipped,
                offset: config.get("steps_offset", 0)?,
                spare: 1,
            };
            if grid.last == 0 {
                return Err(unsupported(
                    "lambda_min_clipped",
                    least,
                    "a value below 5, or none",
                ));
            }
            let spacing = config.spacing()?.unwrap_or(Spacing::Linspace);
            let timesteps: Vec<f64> = grid
                .timesteps(spacing, steps)
                .into_iter()
                .map(f64::round_ties_even)
                .collect();
            Self {
                sigmas: timesteps
                    .iter()
                    .map(|t| interpolate(&trained, *t) as f32)
                    .collect(),
                timesteps,
            }
        };
        let last = match class {
            Class::Deis if karras_levels => levels.sigmas[levels.sigmas.len() - 1],
            Class::Deis => trained[0],
            Class::Dpm | Class::UniPc => final_sigma(config, trained[0])?,
        };
        levels.sigmas.push(last);
        Ok(levels)
    }
}

/// Timesteps of Euler's methods, broken numbers in f32, and whether they are spaced `leading`.
pub(super) fn broken_timesteps(
    config: &SchedulerConfig,
    train: usize,
    steps: usize,
) -> Result<(Vec<f64>, bool), Error> {
    let grid = Grid {
        train,
        last: train,
        offset: config.get("steps_offset", 0)?,
        spare: 0,
    };
    let spacing = config.spacing()?.unwrap_or(Spacing::Linspace);
    let timesteps = grid.timesteps(spacing, steps);
    let timesteps = timesteps.into_iter().map(|t| f64::from(t as f32));
    Ok((timesteps.collect(), spacing == Spacing::Leading))
}

/// Factor of the noise that Euler's methods start from; `most` is the highest level that is visited.
pub(super) fn initial_noise(most: f64, leading: bool) -> f64 {
    if leading {
        (most * most + 1.0).sqrt()
    } else {
        most
    }
}

/// The noise level after the last step; `least` is that of the cleanest training step.
pub(super) fn final_sigma(config: &SchedulerConfig, least: f32) -> Result<f32, Error> {
    match config.get("final_sigmas_type", "zero".to_owned())?.as_str() {
        "zero" => Ok(0.0),
        "sigma_min" => Ok(least),
        other => Err(unsupported(
            "final_sigmas_type",
            other,
            "`zero` or `sigma_min`",
        )),
    }
}

/// What becomes of a timestep that lies between two training steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// It goes to the nearer one.
    Whole,
    /// It goes to the one below.
    Down,
    /// It stays, in f32.
    None,
}

/// Noise levels after Karras et al. (2022), eq. 5, rho 7, between `ends` (least, most) or those that the config names, and the
/// timesteps nearest to them.
pub(super) fn karras(
    config: &SchedulerConfig,
    trained: &[f32],
    (least, most): (f32, f32),
    steps: usize,
    rounding: Rounding,
) -> Result<Levels, Error> {
    let least: f64 = config.get("sigma_min", f64::from(least))?;
    let most: f64 = config.get("sigma_max", f64::from(most))?;
    let (low, high) = (least.powf(1.0 / 7.0), most.powf(1.0 / 7.0));
    let at = |i: usize| (high + i as f64 / (steps - 1).max(1) as f64 * (low - high)).powf(7.0);
    let sigmas: Vec<f64> = (0..steps).map(at).collect();
    let logs: Vec<f32> = trained.iter().map(|s| s.ln()).collect();
    let timestep = |sigma: &f64| {
        let log = sigma.max(1e-10).ln();
        let i = logs
            .partition_point(|l| f64::from(*l) <= log)
            .saturating_sub(1)
            .min(logs.len() - 2);
        // The gap in f32, as numpy has it.
        let gap = f64::from(logs[i] - logs[i + 1]);
        let w = ((f64::from(logs[i]) - log) / gap).clamp(0.0, 1.0);
        let t = (1.0 - w) * i as f64 + w * (i + 1) as f64;
        match rounding {
            Rounding::Whole => t.round_ties_even(),
            Rounding::Down => t.floor(),
            Rounding::None => f64::from(t as f32),
        }
    };
    Ok(Levels {
        timesteps: sigmas.iter().map(timestep).collect(),
        sigmas: sigmas.iter().map(|s| *s as f32).collect(),
    })
}
