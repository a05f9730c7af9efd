//! Group and layer normalisation; statistics in f32 or better whatever the dtype.

use candle_core::{Result, Tensor};

use super::memory::{Values, channels_last, each, pieces, plain};
use super::simd::{silu, simd, sum};
use crate::kernels::backend::{GroupNorm, LayerNorm, expect};

/// Pixels of one piece of the statistics: few enough for f32 sums.
const PIECE: usize = 256;

/// What normalises one batch: `x * scale + shift` per row and channel, `[rows * channels]` each.
pub(crate) struct Affine {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

/// Group normalisation over `[rows, channels, height, width]`.
pub(super) fn group_norm(norm: &GroupNorm, x: &Tensor) -> Result<Tensor> {
    let (rows, channels, height, width) = x.dims4()?;
    let input = channels_last(x)?;
    let affine = affine(norm, &input)?;
    let mut out = vec![0f32; input.elem_count()];
    {
        let input = Values::of(&input)?;
        let input: &[f32] = &input;
        let row_len = height * width * channels;
        let work = pieces(&mut out, row_len, PIECE * channels);
        each(work, 2 * rows * row_len, |(row, at, out)| {
            let (scale, shift) = affine.row(row, channels);
            affine_lines(out, &input[row * row_len + at..][..out.len()], scale, shift);
        });
    }
    Tensor::from_vec(out, (rows, height, width, channels), x.device())?
        .to_dtype(x.dtype())?
        .permute((0, 3, 1, 2))
}

/// The statistics of f32 `[rows, height, width, channels]`, as scale and shift.
pub(super) fn affine(norm: &GroupNorm, input: &Tensor) -> Result<Affine> {
    let (rows, height, width, channels) = input.dims4()?;
    let (pixels, members) = (height * width, channels / norm.groups);
    let row_len = pixels * channels;
    expect("a group normalisation's weight", &norm.weight, &[channels])?;
    let (weight, bias) = (plain(&norm.weight)?, plain(&norm.bias)?);
    let (weight, bias, input) = (Values::of(&weight)?, Values::of(&bias)?, Values::of(input)?);
    let input: &[f32] = &input;
    let starts: Vec<usize> = (0..rows)
        .flat_map(|row| {
            (0..pixels)
                .step_by(PIECE)
                .map(move |pixel| row * row_len + pixel * channels)
        })
        .collect();
    // Sums over pixels of f(x - center), per piece and channel, added up in f64 per group.
    let total = |centers: &[f32], squared: bool| -> Vec<f64> {
        let parts: Vec<Vec<f32>> = each(starts.clone(), 2 * rows * row_len, |start| {
            let row = start / row_len;
            let end = (start + PIECE * channels).min((row + 1) * row_len);
            let mut sums = vec![0f32; channels];
            let centers = &centers[row * channels..][..channels];
            column_sums(&mut sums, &input[start..end], centers, squared);
            sums
        });
        let mut sums = vec![0f64; rows * norm.groups];
        for (start, part) in starts.iter().zip(parts) {
            let row = start / row_len;
            for (group, values) in part.chunks_exact(members).enumerate() {
                sums[row * norm.groups + group] +=
                    values.iter().map(|&v| f64::from(v)).sum::<f64>();
            }
        }
        sums
    };
    let count = (pixels * members) as f64;
    let spread = |per_group: &[f64]| -> Vec<f32> {
        per_group
            .iter()
            .flat_map(|&v| std::iter::repeat_n(v as f32, members))
            .collect()
    };
    let means: Vec<f64> = total(&vec![0.0; rows * channels], false)
        .iter()
        .map(|s| s / count)
        .collect();
    let centers = spread(&means);
    let factors: Vec<f64> = total(&centers, true)
        .iter()
        .map(|s| 1.0 / (s / count + norm.eps).sqrt())
        .collect();
    let mut scale = spread(&factors);
    let mut shift = centers;
    for (i, (scale, shift)) in scale.iter_mut().zip(&mut shift).enumerate() {
        *scale *= weight[i % channels];
        *shift = bias[i % channels] - *shift * *scale;
    }
    Ok(Affine { scale, shift })
}

impl Affine {
    /// Scale and shift of one row.
    pub(crate) fn row(&self, row: usize, channels: usize) -> (&[f32], &[f32]) {
        (
            &self.scale[row * channels..][..channels],
            &self.shift[row * channels..][..channels],
        )
    }
}

/// Normalises the vectors of `[rows, lines, width]`.
pub(super) fn layer_norm(norm: &LayerNorm, x: &Tensor) -> Result<Tensor> {
    let (rows, lines, _) = x.dims3()?;
    let width = norm.weight.dim(0)?;
    expect("a layer normalisation's input", x, &[rows, lines, width])?;
    let (input, weight, bias) = (plain(x)?, plain(&norm.weight)?, plain(&norm.bias)?);
    let mut out = vec![0f32; input.elem_count()];
    {
        let (input, weight, bias) = (
            Values::of(&input)?,
            Values::of(&weight)?,
            Values::of(&bias)?,
        );
        let (input, weight, bias): (&[f32], &[f32], &[f32]) = (&input, &weight, &bias);
        let work = pieces(&mut out, lines * width, PIECE * width);
        each(work, 4 * rows * lines * width, |(row, at, out)| {
            let input = &input[row * lines * width + at..];
            let (weight, bias) = (&weight[..width], &bias[..width]);
            layer_norm_lines(out, input, weight, bias, norm.eps as f32);
        });
    }
    Tensor::from_vec(out, x.dims(), x.device())?.to_dtype(x.dtype())
}

simd! {
    fn column_sums(sums: &mut [f32], pixels: &[f32], centers: &[f32], squared: bool) {
        for pixel in pixels.chunks_exact(sums.len()) {
            for ((sum, &x), &center) in sums.iter_mut().zip(pixel).zip(centers) {
                let d = x - center;
                *sum += if squared { d * d } else { d };
            }
        }
    }
}

simd! {
    fn affine_lines(out: &mut [f32], pixels: &[f32], scale: &[f32], shift: &[f32]) {
        for (out, pixel) in out.chunks_exact_mut(scale.len()).zip(pixels.chunks_exact(scale.len())) {
            for (((out, &x), &scale), &shift) in out.iter_mut().zip(pixel).zip(scale).zip(shift) {
                *out = x * scale + shift;
            }
        }
    }
}

simd! {
    /// `silu(x * scale + shift)` of every pixel's channels.
    pub(crate) fn affine_silu_lines(out: &mut [f32], pixels: &[f32], scale: &[f32], shift: &[f32]) {
        for (out, pixel) in out.chunks_exact_mut(scale.len()).zip(pixels.chunks_exact(scale.len())) {
            for (((out, &x), &scale), &shift) in out.iter_mut().zip(pixel).zip(scale).zip(shift) {
                *out = silu(x * scale + shift);
            }
        }
    }
}

simd! {
    fn layer_norm_lines(out: &mut [f32], lines: &[f32], weight: &[f32], bias: &[f32], eps: f32) {
        let width = weight.len();
        for (out, line) in out.chunks_exact_mut(width).zip(lines.chunks_exact(width)) {
            let mean = sum(line, |x| x) / width as f32;
            let variance = sum(line, |x| (x - mean) * (x - mean)) / width as f32;
            let factor = 1.0 / (variance + eps).sqrt();
            for (((out, &x), &weight), &bias) in out.iter_mut().zip(line).zip(weight).zip(bias) {
                *out = (x - mean) * factor * weight + bias;
            }
        }
    }
}
