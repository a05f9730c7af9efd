//! Group and layer normalisation of bf16; sums in f32 over few values, in f64 over those.

use candle_core::{Result, Tensor};
use half::bf16;

use super::line::{narrow, wide};
use super::memory::{Values, channels_last, packed, parameters};
use crate::kernels::backend::{GroupNorm, LayerNorm, expect};
use crate::kernels::cpu::memory::{each, pieces};
use crate::kernels::cpu::norm::Affine;
use crate::kernels::cpu::simd::simd;

/// Pixels of one piece of the statistics: few enough for f32 sums.
const PIECE: usize = 256;

/// Group normalisation over `[rows, channels, height, width]`.
pub(super) fn group_norm(norm: &GroupNorm, x: &Tensor) -> Result<Tensor> {
    let (rows, channels, height, width) = x.dims4()?;
    let input = channels_last(x)?;
    let input = Values::of(&input)?;
    let row_len = height * width * channels;
    let affine = affine(norm, &input[..rows * row_len], (rows, channels))?;
    let mut out = vec![bf16::ZERO; rows * row_len];
    let input: &[bf16] = &input;
    let work = pieces(&mut out, row_len, PIECE * channels);
    each(work, 2 * rows * row_len, |(row, at, out)| {
        let (scale, shift) = affine.row(row, channels);
        affine_lines(out, &input[row * row_len + at..][..out.len()], scale, shift);
    });
    Tensor::from_vec(out, (rows, height, width, channels), x.device())?.permute((0, 3, 1, 2))
}

/// The statistics of `[rows, pixels, channels]`, as scale and shift. One pass: sums of each channel's distances from its first
/// pixel, and of their squares, which stay exact far from zero.
pub(super) fn affine(
    norm: &GroupNorm,
    input: &[bf16],
    (rows, channels): (usize, usize),
) -> Result<Affine> {
    expect("a group normalisation's weight", &norm.weight, &[channels])?;
    let (weight, bias) = (parameters(&norm.weight)?, parameters(&norm.bias)?);
    let members = channels / norm.groups;
    let row_len = input.len() / rows.max(1);
    let piece = PIECE * channels;
    let mut work = Vec::new();
    for (row, input) in input.chunks_exact(row_len.max(1)).enumerate() {
        let origin = &input[..channels];
        work.extend(input.chunks(piece).map(move |part| (row, origin, part)));
    }
    let parts = each(work, 2 * rows * row_len, |(row, origin, part)| {
        let mut sums = vec![0f32; 2 * channels];
        let (first, second) = sums.split_at_mut(channels);
        column_sums(first, second, part, origin);
        (row, sums)
    });
    let mut sums = vec![0f64; rows * 2 * channels];
    for (row, part) in parts {
        let sums = &mut sums[row * 2 * channels..][..2 * channels];
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += f64::from(x);
        }
    }
    let pixels = (row_len / channels) as f64;
    let count = pixels * members as f64;
    let (mut scale, mut shift) = (Vec::new(), Vec::new());
    for (row, sums) in sums.chunks_exact(2 * channels).enumerate() {
        let origin = |channel: usize| f64::from(wide(input[row * row_len + channel]));
        for group in 0..norm.groups {
            let channels_of = group * members..(group + 1) * members;
            let total: f64 = channels_of
                .clone()
                .map(|c| origin(c) * pixels + sums[c])
                .sum();
            let mean = total / count;
            // Around the mean, from what is around each channel's origin.
            let spread: f64 = channels_of
                .clone()
                .map(|c| {
                    let d = origin(c) - mean;
                    sums[channels + c] + 2.0 * d * sums[c] + pixels * d * d
                })
                .sum();
            let factor = 1.0 / (spread.max(0.0) / count + norm.eps).sqrt();
            for c in channels_of {
                let by = f64::from(weight[c]) * factor;
                scale.push(by as f32);
                shift.push((f64::from(bias[c]) - mean * by) as f32);
            }
        }
    }
    Ok(Affine { scale, shift })
}

/// Normalises the vectors of `[rows, lines, width]`.
pub(super) fn layer_norm(norm: &LayerNorm, x: &Tensor) -> Result<Tensor> {
    let (rows, lines, _) = x.dims3()?;
    let width = norm.weight.dim(0)?;
    expect("a layer normalisation's input", x, &[rows, lines, width])?;
    let (weight, bias) = (parameters(&norm.weight)?, parameters(&norm.bias)?);
    let input = packed(x)?;
    let input = Values::of(&input)?;
    let mut out = vec![bf16::ZERO; rows * lines * width];
    let input: &[bf16] = &input;
    let work = pieces(&mut out, lines * width, PIECE * width);
    each(work, 4 * rows * lines * width, |(row, at, out)| {
        let input = &input[row * lines * width + at..][..out.len()];
        layer_norm_lines(out, input, &weight, &bias, norm.eps as f32);
    });
    Tensor::from_vec(out, x.dims(), x.device())
}

simd! {
    fn column_sums(first: &mut [f32], second: &mut [f32], pixels: &[bf16], origin: &[bf16]) {
        let channels = first.len();
        for pixel in pixels.chunks_exact(channels) {
            let sums = first.iter_mut().zip(second.iter_mut());
            for (((first, second), &x), &origin) in sums.zip(pixel).zip(origin) {
                let d = wide(x) - wide(origin);
                *first += d;
                *second += d * d;
            }
        }
    }
}

simd! {
    fn affine_lines(out: &mut [bf16], pixels: &[bf16], scale: &[f32], shift: &[f32]) {
        let channels = scale.len();
        for (out, pixel) in out.chunks_exact_mut(channels).zip(pixels.chunks_exact(channels)) {
            for (((out, &x), &scale), &shift) in out.iter_mut().zip(pixel).zip(scale).zip(shift) {
                *out = narrow(wide(x) * scale + shift);
            }
        }
    }
}

simd! {
    fn layer_norm_lines(out: &mut [bf16], lines: &[bf16], weight: &[f32], bias: &[f32], eps: f32) {
        const PARTS: usize = 16;
        let width = weight.len();
        for (out, line) in out.chunks_exact_mut(width).zip(lines.chunks_exact(width)) {
            let (mut sums, mut squares) = ([0f32; PARTS], [0f32; PARTS]);
            let chunks = line.chunks_exact(PARTS);
            let rest = chunks.remainder();
            for chunk in chunks.clone() {
                for (sum, &x) in sums.iter_mut().zip(chunk) {
                    *sum += wide(x);
                }
            }
            let more: f32 = rest.iter().map(|&x| wide(x)).sum();
            let mean = (sums.iter().sum::<f32>() + more) / width as f32;
            for chunk in chunks {
                for (square, &x) in squares.iter_mut().zip(chunk) {
                    let d = wide(x) - mean;
                    *square += d * d;
                }
            }
            let more: f32 = rest.iter().map(|&x| (wide(x) - mean) * (wide(x) - mean)).sum();
            let spread = squares.iter().sum::<f32>() + more;
            let factor = 1.0 / (spread / width as f32 + eps).sqrt();
            for (((out, &x), &weight), &bias) in out.iter_mut().zip(line).zip(weight).zip(bias) {
                *out = narrow((wide(x) - mean) * factor * weight + bias);
            }
        }
    }
}
