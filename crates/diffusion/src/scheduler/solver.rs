//! What every solver is, and what solvers are made of.

use std::collections::HashMap;

use candle_core::{DType, Result, Tensor};

use super::config::Prediction;

/// One trajectory of a sample from noise to latents.
///
/// A `step` is one call of the network, counted from 0. Samples and outputs may be of any floating dtype; results are f32.
pub trait Scheduler: Send {
    /// The timestep that each call of the network is given.
    fn timesteps(&self) -> &[f64];

    /// What the network predicts.
    fn prediction(&self) -> Prediction;

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

    /// The clean sample that the network's `output` at `step` speaks for: where the trajectory would end, were the network right.
    fn clean(&self, output: &Tensor, step: usize, sample: &Tensor) -> Result<Tensor> {
        let (alpha, sigma) = self.alpha_sigma(step);
        // What the network predicts is of a sample of unit variance.
        let scale = 1.0 / alpha.hypot(sigma);
        let (s, o) = self.prediction().clean((alpha * scale, sigma * scale));
        sum(&[(s * scale, sample), (o, output)])
    }
}

/// `sum of factor * tensor`, in f32.
pub(super) fn sum(terms: &[(f64, &Tensor)]) -> Result<Tensor> {
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
pub(super) fn check(step: usize, timesteps: &[f64]) -> Result<()> {
    if step >= timesteps.len() {
        candle_core::bail!("step {step} of a trajectory of {}", timesteps.len());
    }
    Ok(())
}

/// Past outputs of the network or clean samples, oldest first: what multistep solvers extrapolate from.
#[derive(Default)]
pub(super) struct Outputs(Vec<Tensor>);

impl Outputs {
    /// Adds the newest, and forgets all but the newest `most`.
    pub(super) fn push(&mut self, output: Tensor, most: usize) {
        self.0.push(output);
        let extra = self.0.len().saturating_sub(most);
        self.0.drain(..extra);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Tensor> {
        self.0.iter().rev()
    }

    /// `sum of factor * output`, after `first`: factors are given for the newest first.
    pub(super) fn sum(&self, first: Option<(f64, &Tensor)>, factors: &[f64]) -> Result<Tensor> {
        let mut terms: Vec<(f64, &Tensor)> = first.into_iter().collect();
        terms.extend(factors.iter().copied().zip(self.newest()));
        sum(&terms)
    }

    /// Under the names `output.0`, `output.1`, ..., oldest first.
    pub(super) fn history(&self) -> Vec<(String, Tensor)> {
        let named = self.0.iter().enumerate();
        named
            .map(|(i, t)| (format!("output.{i}"), t.clone()))
            .collect()
    }

    /// The reverse of [`Outputs::history`]: `count` outputs, or an error that names the missing one.
    pub(super) fn restored(history: &HashMap<String, Tensor>, count: usize) -> Result<Self> {
        (0..count)
            .map(|i| restored(history, &format!("output.{i}")))
            .collect::<Result<_>>()
            .map(Self)
    }
}

/// A tensor of a saved history.
pub(super) fn restored(history: &HashMap<String, Tensor>, name: &str) -> Result<Tensor> {
    match history.get(name) {
        Some(tensor) => Ok(tensor.clone()),
        None => candle_core::bail!(
            "the saved scheduler lacks {name}: it was saved by another scheduler or at another step"
        ),
    }
}
