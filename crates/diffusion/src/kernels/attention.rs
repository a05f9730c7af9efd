//! Scaled dot-product attention whose scores are never all in memory, with the bias and the probabilities that a
//! [`Control`](crate::control::Control) may want.

use candle_core::{D, DType, Result, Tensor};

use super::memory::{Matrix, Values, each, expect, pieces, product, unit_last, with_scratch};
use super::native;
use super::simd::{scale, simd, softmax_unscaled};

/// Scores of one piece on the processor: a megabyte, about the second-level cache.
const PIECE: usize = 1 << 18;

/// Most queries of one piece on the processor.
const LINES: usize = 128;

/// Scores of one piece elsewhere: 256 MiB.
const SLICE: usize = 1 << 26;

/// How to attend, and what to show of it.
#[derive(Clone, Copy)]
pub(crate) struct How<'a> {
    /// Heads that the channels are split into.
    pub(crate) heads: usize,
    /// Added to the f32 scores; broadcasts against `[rows, heads, queries, keys]`.
    pub(crate) bias: Option<&'a Tensor>,
    /// Whether the probabilities are wanted.
    pub(crate) probabilities: bool,
}

/// What attention yields.
pub(crate) struct Attended {
    /// `[rows, queries, channels]`, in the queries' dtype.
    pub(crate) values: Tensor,
    /// f32 `[rows, heads, queries, keys]`, if asked for.
    pub(crate) probabilities: Option<Tensor>,
}

/// `softmax(q k^T / sqrt(channels / heads) + bias) v`, softmax in f32.
///
/// `q` is `[rows, queries, channels]`, `k` and `v` are `[rows, keys, channels]`.
pub(crate) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, how: How<'_>) -> Result<Attended> {
    let (rows, queries, channels) = q.dims3()?;
    expect(
        "the keys of an attention layer",
        k,
        &[rows, k.dim(1)?, channels],
    )?;
    expect(
        "the values of an attention layer",
        v,
        &[rows, k.dim(1)?, channels],
    )?;
    let shape = (rows, how.heads, queries, k.dim(1)?);
    let bias = how
        .bias
        .map(|bias| bias.to_dtype(DType::F32)?.broadcast_as(shape))
        .transpose()?;
    let how = How {
        bias: bias.as_ref(),
        ..how
    };
    if native(q.device()) {
        by_pieces(q, k, v, how)
    } else {
        by_candle(q, k, v, how, SLICE)
    }
}

/// With at most `slice` scores at a time, or one query's.
pub(super) fn by_candle(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    how: How<'_>,
    slice: usize,
) -> Result<Attended> {
    let How {
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
    let probabilities = if probabilities {
        Some(Tensor::cat(&seen, 2)?)
    } else {
        None
    };
    Ok(Attended {
        values,
        probabilities,
    })
}

fn by_pieces(q: &Tensor, k: &Tensor, v: &Tensor, how: How<'_>) -> Result<Attended> {
    let How {
        heads,
        bias,
        probabilities,
    } = how;
    let (rows, queries, channels) = q.dims3()?;
    let (keys, width, dtype) = (k.dim(1)?, channels / heads, q.dtype());
    let factor = 1.0 / (width as f32).sqrt();
    let (q, k, v) = (unit_last(q)?, unit_last(k)?, unit_last(v)?);
    let lines = (PIECE / keys.max(1)).clamp(LINES / 4, LINES);
    let mut out = vec![0f32; rows * queries * channels];
    // One piece of probabilities per piece of the output, put in order afterwards.
    let seen = {
        let (query, key, value) = (Values::of(&q)?, Values::of(&k)?, Values::of(&v)?);
        let (query, key, value): (&[f32], &[f32], &[f32]) = (&query, &key, &value);
        let bias_values = bias.map(Values::of).transpose()?;
        let bias: Option<(&[f32], &[usize])> = bias_values.as_deref().zip(bias.map(Tensor::stride));
        let strides = |x: &Tensor| (x.stride()[0], x.stride()[1]);
        let ((q_row, q_line), (k_row, k_line), (v_row, v_line)) =
            (strides(&q), strides(&k), strides(&v));
        let work = pieces(&mut out, queries * channels, lines * channels);
        each(work, rows * queries * keys * channels, |(row, at, out)| {
            let (first, count) = (at / channels, out.len() / channels);
            let mut seen = Vec::new();
            for head in 0..heads {
                let column = head * width;
                with_scratch(count * keys, |scores| {
                    product(
                        (count, width, keys),
                        scores,
                        keys,
                        false,
                        Matrix {
                            values: &query[row * q_row + first * q_line + column..],
                            row: q_line,
                            column: 1,
                        },
                        Matrix {
                            values: &key[row * k_row + column..],
                            row: 1,
                            column: k_line,
                        },
                        factor,
                    );
                    let out = &mut out[column..];
                    let mut sums = [1f32; LINES];
                    for (i, (line, total)) in
                        scores.chunks_exact_mut(keys).zip(&mut sums).enumerate()
                    {
                        if let Some((bias, s)) = bias {
                            add(
                                line,
                                &bias[row * s[0] + head * s[1] + (first + i) * s[2]..],
                                s[3],
                            );
                        }
                        *total = softmax_unscaled(line);
                        if probabilities {
                            scale(line, 1.0 / *total);
                            *total = 1.0;
                            seen.extend_from_slice(line);
                        }
                    }
                    product(
                        (count, keys, width),
                        out,
                        channels,
                        false,
                        Matrix {
                            values: scores,
                            row: keys,
                            column: 1,
                        },
                        Matrix {
                            values: &value[row * v_row + column..],
                            row: v_line,
                            column: 1,
                        },
                        1.0,
                    );
                    for (line, total) in out.chunks_mut(channels).zip(sums) {
                        scale(&mut line[..width], 1.0 / total);
                    }
                });
            }
            (row, first, count, seen)
        })
    };
    let probabilities = if probabilities {
        let mut all = vec![0f32; rows * heads * queries * keys];
        for (row, first, count, part) in seen {
            for (head, part) in part.chunks_exact(count * keys).enumerate() {
                all[((row * heads + head) * queries + first) * keys..][..part.len()]
                    .copy_from_slice(part);
            }
        }
        Some(Tensor::from_vec(
            all,
            (rows, heads, queries, keys),
            q.device(),
        )?)
    } else {
        None
    };
    let values = Tensor::from_vec(out, (rows, queries, channels), q.device())?.to_dtype(dtype)?;
    Ok(Attended {
        values,
        probabilities,
    })
}

simd! {
    /// Adds a line of the bias whose values lie `stride` apart (0: one value for all).
    fn add(scores: &mut [f32], bias: &[f32], stride: usize) {
        if stride == 1 {
            for (score, &bias) in scores.iter_mut().zip(bias) {
                *score += bias;
            }
        } else {
            for (i, score) in scores.iter_mut().enumerate() {
                *score += bias[i * stride];
            }
        }
    }
}
