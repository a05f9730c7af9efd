//! Attention by candle's operations, some queries at a time, so that the scores are never all in memory.

use candle_core::{D, DType, Result, Tensor};

use crate::kernels::backend::{Attended, Attention};

/// Most scores in memory at once: 256 MiB.
pub(super) const SLICE: usize = 1 << 26;

/// With at most `slice` scores at a time, or one query's.
pub(in crate::kernels) fn attention_in_slices(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    how: Attention<'_>,
    slice: usize,
) -> Result<Attended> {
    let Attention {
        heads,
        bias,
        probabilities,
    } = how;
    let (rows, queries, channels) = q.dims3()?;
    let keys = k.dim(1)?;
    let factor = 1.0 / ((channels / heads) as f64).sqrt();
    let split = |x: &Tensor, count: usize| {
        x.reshape((rows, count, heads, channels / heads))?
            .transpose(1, 2)?
            .contiguous()?
            .to_dtype(DType::F32)
    };
    let (queried, k, v) = (
        (split(q, queries)? * factor)?,
        split(k, keys)?.transpose(2, 3)?,
        split(v, keys)?,
    );
    let step = (slice / (rows * heads * keys).max(1)).max(1);
    let (mut values, mut seen) = (Vec::new(), Vec::new());
    for start in (0..queries).step_by(step) {
        let count = step.min(queries - start);
        let scores = queried.narrow(2, start, count)?.contiguous()?.matmul(&k)?;
        let scores = match bias {
            Some(bias) => (scores + bias.narrow(2, start, count)?)?,
            None => scores,
        };
        let weights = candle_nn::ops::softmax_last_dim(&scores)?;
        values.push(weights.matmul(&v)?);
        if probabilities {
            seen.push(weights);
        }
    }
    let values = Tensor::cat(&values, 2)?
        .transpose(1, 2)?
        .flatten_from(D::Minus2)?
        .to_dtype(q.dtype())?;
    let probabilities = probabilities.then(|| Tensor::cat(&seen, 2)).transpose()?;
    Ok(Attended {
        values,
        probabilities,
    })
}
