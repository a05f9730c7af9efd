//! How long each kind of layer takes, by the size of its feature map. Nothing is measured unless somebody records.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use candle_core::{Result, Tensor};

/// A kind of layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A convolution with a kernel of 3, and the normalisation, shift and residual that go with it.
    Conv3,
    /// A convolution with a kernel of 1.
    Conv1,
    /// A linear layer, and its residual.
    Linear,
    /// The first half of a feed-forward layer: a linear layer whose outputs gate each other.
    Gated,
    /// Attention within the picture, without its projections.
    SelfAttention,
    /// Attention to the text, without its projections.
    TextAttention,
    /// A group normalisation that stands alone.
    GroupNorm,
    /// A layer normalisation.
    LayerNorm,
    /// Two maps joined along their channels.
    Join,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conv3 => "conv 3x3",
            Self::Conv1 => "conv 1x1",
            Self::Linear => "linear",
            Self::Gated => "linear, gated",
            Self::SelfAttention => "self-attention",
            Self::TextAttention => "text attention",
            Self::GroupNorm => "group norm",
            Self::LayerNorm => "layer norm",
            Self::Join => "join",
        })
    }
}

/// All layers of one kind and size together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// How many layers ran.
    pub calls: usize,
    /// How long they took, in seconds.
    pub seconds: f64,
    /// Multiplications and additions of the plain method, whatever method ran: 2 for each product.
    pub operations: f64,
    /// Bytes of inputs, weights and outputs, each once, in the network's number type.
    pub bytes: f64,
}

/// By kind and by the pixels (for text: tokens) of one row of the output.
pub type Profile = BTreeMap<(Kind, usize), Spent>;

thread_local!(static PROFILE: RefCell<Option<Profile>> = const { RefCell::new(None) });

/// Runs `work`, and yields what its layers took on this thread besides. Layers use all threads, but are called on this one.
pub fn record<T>(work: impl FnOnce() -> T) -> (T, Profile) {
    let outer = PROFILE.replace(Some(Profile::new()));
    let done = work();
    (done, PROFILE.replace(outer).unwrap_or_default())
}

/// Runs a layer that makes one tensor, `[rows, channels, height, width]` of a convolution and `[rows, lines, width]` else.
pub(crate) fn layer(
    kind: Kind,
    input: &Tensor,
    work: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    timed(work, |output| {
        let (inputs, outputs) = (input.elem_count(), output.elem_count());
        let (from, to, kernel) = match kind {
            Kind::Conv3 => (input.dim(1)?, output.dim(1)?, 9),
            Kind::Conv1 => (input.dim(1)?, output.dim(1)?, 1),
            Kind::Linear => (input.dim(2)?, output.dim(2)?, 1),
            Kind::Gated => (input.dim(2)?, 2 * output.dim(2)?, 1),
            _ => (0, 0, 0),
        };
        let lines = match output.dims() {
            [_, _, height, width] => height * width,
            [_, lines, _] => *lines,
            dims => dims.iter().product(),
        };
        let weights = kernel * from * to;
        let rows = output.dim(0)?;
        Ok((
            (kind, lines),
            2.0 * (rows * lines) as f64 * weights as f64,
            (inputs + outputs + weights) * input.dtype().size_in_bytes(),
        ))
    })
}

/// Runs an attention layer of queries `[rows, queries, channels]` and keys of the same width.
pub(crate) fn attention<T>(
    kind: Kind,
    queries: &Tensor,
    keys: &Tensor,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    timed(work, |_| {
        let lines = queries.dim(1)?;
        let values = 2 * (queries.elem_count() + keys.elem_count());
        Ok((
            (kind, lines),
            4.0 * queries.elem_count() as f64 * keys.dim(1)? as f64,
            values * queries.dtype().size_in_bytes(),
        ))
    })
}

/// Runs `work`, and notes its time under what `cost` makes of the output: place, operations and bytes.
fn timed<T>(
    work: impl FnOnce() -> Result<T>,
    cost: impl FnOnce(&T) -> Result<((Kind, usize), f64, usize)>,
) -> Result<T> {
    if PROFILE.with_borrow(Option::is_none) {
        return work();
    }
    let began = Instant::now();
    let output = work()?;
    let seconds = began.elapsed().as_secs_f64();
    let (place, operations, bytes) = cost(&output)?;
    PROFILE.with_borrow_mut(|profile| {
        if let Some(profile) = profile {
            let spent = profile.entry(place).or_default();
            spent.calls += 1;
            spent.seconds += seconds;
            spent.operations += operations;
            spent.bytes += bytes as f64;
        }
    });
    Ok(output)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn layers_are_counted_while_somebody_records() {
        let map = Tensor::zeros((2, 4, 6, 5), DType::F32, &Device::Cpu).unwrap();
        let out = Tensor::zeros((2, 8, 6, 5), DType::F32, &Device::Cpu).unwrap();
        let run = || layer(Kind::Conv3, &map, || Ok(out.clone())).unwrap();
        run();
        let (_, profile) = record(|| {
            run();
            run();
        });
        let spent = profile[&(Kind::Conv3, 30)];
        assert_eq!(profile.len(), 1);
        assert_eq!(spent.calls, 2);
        assert_eq!(spent.operations, 2.0 * 2.0 * 60.0 * (9 * 4 * 8) as f64);
        assert_eq!(spent.bytes, 2.0 * 4.0 * (240 + 480 + 288) as f64);
        let text = Tensor::zeros((2, 7, 4), DType::F32, &Device::Cpu).unwrap();
        let pixels = Tensor::zeros((2, 30, 4), DType::F32, &Device::Cpu).unwrap();
        let attend = || attention(Kind::TextAttention, &pixels, &text, || Ok(()));
        let (_, profile) = record(attend);
        let spent = profile[&(Kind::TextAttention, 30)];
        assert_eq!(spent.operations, (4 * 2 * 30 * 4 * 7) as f64);
        let (_, profile) = record(|| ());
        assert!(profile.is_empty());
    }
}
