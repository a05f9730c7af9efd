//! One U-Net call for several edits, each at its own step: their rows are stacked, and each reads and biases attention in its own
//! rows alone. On a processor every edit gets what it would have got alone, to the byte.

use std::time::Instant;

use candle_core::Tensor;
use limekiln_diffusion::{control::Member, model::Model, unet::TextContext};

use super::{inputs::Inputs, machine::Edit};
use crate::{
    error::{Error, Result},
    observer::AttentionObserver,
    timings::milliseconds,
};

/// What an edit's next call needs: edits whose latents are of one height and width can share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows of the batch.
    pub rows: usize,
    /// Height of the latents that are computed.
    pub height: usize,
    /// Width of the latents that are computed.
    pub width: usize,
}

/// What a call answered to one edit; [`Edit::end`] takes it.
pub struct Answer {
    /// `[rows, channels, h, w]`
    pub(super) output: Tensor,
    pub(super) observer: AttentionObserver,
    /// The edit's share of the time.
    pub(super) took_ms: f64,
}

impl Answer {
    /// Rows of the batch that were the edit's.
    pub fn rows(&self) -> usize {
        self.observer.lanes.len()
    }
}

/// Makes one call for these edits, which change nothing by it; answers are in their order. An edit that can't be in the call, or at
/// which it fails, fails alone: the others are then called one by one.
pub fn call(model: &Model, edits: &[&Edit]) -> Vec<Result<Answer>> {
    let inputs: Vec<Result<Inputs>> = edits.iter().map(|edit| edit.inputs()).collect();
    if let [_] = edits {
        let alone = |inputs: Result<Inputs>| -> Result<Answer> {
            one(&mut together(model, vec![inputs?])?)
        };
        return inputs.into_iter().map(alone).collect();
    }
    let (mut able, mut failed) = (Vec::new(), Vec::new());
    for inputs in inputs {
        match inputs {
            Ok(inputs) => {
                able.push(inputs);
                failed.push(None);
            }
            Err(error) => failed.push(Some(error)),
        }
    }
    match together(model, able) {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            let answer = |failed: Option<_>| match failed {
                Some(error) => Err(error),
                None => answers.next().ok_or_else(unanswered),
            };
            failed.into_iter().map(answer).collect()
        }
        Err(_) => {
            let alone = |edit: &&Edit| -> Result<Answer> { one(&mut call(model, &[*edit]))? };
            edits.iter().map(alone).collect()
        }
    }
}

/// Stacks the rows, makes the call, and deals out what it answers.
fn together(model: &Model, mut inputs: Vec<Inputs>) -> Result<Vec<Answer>> {
    let began = Instant::now();
    let samples: Vec<&Tensor> = inputs.iter().map(|inputs| &inputs.sample).collect();
    let texts: Vec<&TextContext> = inputs.iter().map(|inputs| &inputs.text).collect();
    let (sample, text) = match inputs.as_slice() {
        [] => return Ok(Vec::new()),
        [inputs] => (inputs.sample.clone(), inputs.text.clone()),
        _ => (Tensor::cat(&samples, 0)?, TextContext::cat(&texts)?),
    };
    let timesteps: Vec<f64> = inputs
        .iter()
        .flat_map(|inputs| inputs.timesteps.iter().copied())
        .collect();
    let members = inputs
        .iter_mut()
        .map(|inputs| Member {
            rows: inputs.timesteps.len(),
            control: &mut inputs.observer,
        })
        .collect();
    let output = model
        .unet
        .forward_together(&sample, &timesteps, &text, members)?;
    let took_ms = milliseconds(began) / inputs.len() as f64;
    let mut first = 0;
    let answer = |inputs: Inputs| -> Result<Answer> {
        let rows = inputs.timesteps.len();
        first += rows;
        Ok(Answer {
            output: output.narrow(0, first - rows, rows)?,
            observer: inputs.observer,
            took_ms,
        })
    };
    inputs.into_iter().map(answer).collect()
}

fn one<T>(answers: &mut Vec<T>) -> Result<T> {
    answers.pop().ok_or_else(unanswered)
}

fn unanswered() -> Error {
    Error::State("a call has not answered".into())
}
