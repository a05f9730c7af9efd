//! Group and layer normalisation; statistics in f32 or better whatever the dtype.

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::memory::{Values, channels_last, each, expect, pieces, plain};
use super::native;
use super::simd::{silu, simd, sum};

/// Pixels of one piece of the statistics: few enough for f32 sums.
const PIECE: usize = 256;

/// Group normalisation over `[rows, channels, height, width]`.
#[derive(Clone, Debug)]
pub(crate) struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
}

/// What normalises one batch: `x * scale + shift` per row and channel, `[rows * channels]` each.
pub(crate) struct Affine {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

impl GroupNorm {
    /// Reads `weight` and `bias`, `[channels]` each.
    pub(crate) fn new(groups: usize, channels: usize, eps: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            weight: vb.get(channels, "weight")?,
            bias: vb.get(channels, "bias")?,
            groups,
            eps,
        })
    }

    /// Normalises.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !native(x.device()) {
            return self.by_candle(x);
        }
        let (rows, channels, height, width) = x.dims4()?;
        let input = channels_last(x)?;
        let affine = self.affine(&input)?;
        let mut out = vec![0f32; input.elem_count()];
        {
            let input = Values::of(&input)?;
            let input: &[f32] = &input;
            let lane = height * width * channels;
            let work = pieces(&mut out, lane, PIECE * channels);
            each(work, 2 * rows * lane, |(row, at, out)| {
                let (scale, shift) = affine.row(row, channels);
                affine_lines(out, &input[row * lane + at..][..out.len()], scale, shift);
            });
        }
        Tensor::from_vec(out, (rows, height, width, channels), x.device())?
            .to_dtype(x.dtype())?
            .permute((0, 3, 1, 2))
    }

    /// Normalises and applies SiLU, by candle's operations.
    pub(crate) fn by_candle_silu(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::silu(&self.by_candle(x)?)
    }

    fn by_candle(&self, x: &Tensor) -> Result<Tensor> {
        let channels = self.weight.dim(0)?;
        candle_nn::GroupNorm::new(
            self.weight.clone(),
            self.bias.clone(),
            channels,
            self.groups,
            self.eps,
        )?
        .forward(&x.contiguous()?)
    }

    /// The statistics of f32 `[rows, height, width, channels]`, as scale and shift.
    pub(crate) fn affine(&self, input: &Tensor) -> Result<Affine> {
        let (rows, height, width, channels) = input.dims4()?;
        let (pixels, members) = (height * width, channels / self.groups);
        let lane = pixels * channels;
        expect("a group normalisation's weight", &self.weight, &[channels])?;
        let (weight, bias) = (plain(&self.weight)?, plain(&self.bias)?);
        let (weight, bias, input) = (Values::of(&weight)?, Values::of(&bias)?, Values::of(input)?);
        let input: &[f32] = &input;
        let starts: Vec<usize> = (0..rows)
            .flat_map(|row| {
                (0..pixels)
                    .step_by(PIECE)
                    .map(move |pixel| row * lane + pixel * channels)
            })
            .collect();
        // Sums over pixels of f(x - center), per piece and channel, added up in f64 per group.
        let total = |centers: &[f32], squared: bool| -> Vec<f64> {
            let parts: Vec<Vec<f32>> = each(starts.clone(), 2 * rows * lane, |start| {
                let row = start / lane;
                let end = (start + PIECE * channels).min((row + 1) * lane);
                let mut sums = vec![0f32; channels];
                let centers = &centers[row * channels..][..channels];
                column_sums(&mut sums, &input[start..end], centers, squared);
                sums
            });
            let mut sums = vec![0f64; rows * self.groups];
            for (start, part) in starts.iter().zip(parts) {
                let row = start / lane;
                for (group, values) in part.chunks_exact(members).enumerate() {
                    sums[row * self.groups + group] +=
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
            .map(|s| 1.0 / (s / count + self.eps).sqrt())
            .collect();
        let mut scale = spread(&factors);
        let mut shift = centers;
        for (i, (scale, shift)) in scale.iter_mut().zip(&mut shift).enumerate() {
            *scale *= weight[i % channels];
            *shift = bias[i % channels] - *shift * *scale;
        }
        Ok(Affine { scale, shift })
    }
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

/// Layer normalisation over the last dimension.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias`, `[width]` each.
    pub(crate) fn new(width: usize, eps: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            weight: vb.get(width, "weight")?,
            bias: vb.get(width, "bias")?,
            eps,
        })
    }

    /// Normalises the vectors of `[rows, lines, width]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !native(x.device()) {
            return candle_nn::LayerNorm::new(self.weight.clone(), self.bias.clone(), self.eps)
                .forward(&x.contiguous()?);
        }
        let (rows, lines, _) = x.dims3()?;
        let width = self.weight.dim(0)?;
        expect("a layer normalisation's input", x, &[rows, lines, width])?;
        let (input, weight, bias) = (plain(x)?, plain(&self.weight)?, plain(&self.bias)?);
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
                layer_norm_lines(out, input, weight, bias, self.eps as f32);
            });
        }
        Tensor::from_vec(out, x.dims(), x.device())?.to_dtype(x.dtype())
    }
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
