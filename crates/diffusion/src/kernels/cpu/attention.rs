//! Scaled dot-product attention whose scores are never all in memory.

use candle_core::{Result, Tensor};

use super::memory::{Matrix, Values, each, pieces, product, unit_last, with_scratch};
use super::simd::{scale, simd, softmax_unscaled};
use crate::kernels::backend::{Attended, Attention};

/// Scores of one piece: a megabyte, about the second-level cache.
const PIECE: usize = 1 << 18;

/// Most queries of one piece.
const LINES: usize = 128;

/// See [`Backend::attention`](crate::kernels::Backend::attention).
pub(super) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    how: Attention<'_>,
) -> Result<Attended> {
    let Attention {
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
                        Matrix::rows(&query[row * q_row + first * q_line + column..], q_line),
                        Matrix::columns(&key[row * k_row + column..], k_line),
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
                        Matrix::rows(scores, keys),
                        Matrix::rows(&value[row * v_row + column..], v_line),
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
