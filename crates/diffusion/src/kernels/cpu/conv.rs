//! Convolutions, with what comes before and after them done on the way.

use candle_core::{Result, Tensor};

use super::memory::{Matrix, Values, channels_last, each, pieces, plain, product, with_scratch};
use super::norm::{affine, affine_silu_lines};
use super::simd::simd;
use crate::kernels::backend::{After, Before, Conv, Padding, expect};

/// Values that a piece's padded input may have: half a megabyte, so that it stays in the second-level cache.
const SCRATCH: usize = 1 << 17;

/// The weights as the kernel reads them.
#[derive(Debug)]
pub(super) struct CpuConv {
    /// `[kernel, kernel, inputs, outputs]`
    weight: Tensor,
    /// `[outputs]`
    bias: Tensor,
    stride: usize,
    padding: Padding,
}

impl CpuConv {
    /// From `weight` `[outputs, inputs, kernel, kernel]` and `bias` `[outputs]`.
    pub(super) fn new(
        weight: &Tensor,
        bias: Tensor,
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        Ok(Self {
            weight: weight.permute((2, 3, 1, 0))?.contiguous()?,
            bias,
            stride,
            padding,
        })
    }

    /// Bias plus shift of each row, `[rows * outputs]`.
    fn base(&self, rows: usize, shift: Option<&Tensor>) -> Result<Vec<f32>> {
        let bias = plain(&self.bias)?;
        let base = match shift {
            Some(shift) => plain(shift)?.broadcast_add(&bias)?,
            None => bias.broadcast_as((rows, bias.dim(0)?))?,
        };
        base.flatten_all()?.to_vec1()
    }
}

impl Conv for CpuConv {
    /// Line by line of the output: for each line of the kernel one matrix product, whose left side is the padded input
    /// itself, since with channels last the kernel's columns lie next to each other.
    fn forward_with(&self, x: &Tensor, before: Before<'_>, after: After<'_>) -> Result<Tensor> {
        let input = channels_last(x)?;
        let (rows, in_height, in_width, _) = input.dims4()?;
        let (kernel, _, inputs, outputs) = self.weight.dims4()?;
        let shape = [rows, inputs, in_height, in_width];
        expect("a convolution's input", x, &shape)?;
        let (height, width) = match before {
            Before::Resize(height, width) => (height, width),
            Before::Nothing | Before::NormSilu(_) => (in_height, in_width),
        };
        // Zeros above and to the left, and below and to the right.
        let (first, last) = match self.padding {
            Padding::All(n) => (n, n),
            Padding::BottomRight => (0, 1),
        };
        let stride = self.stride;
        let padded_width = first + width + last;
        if first + height + last < kernel || padded_width < kernel || in_height * in_width == 0 {
            candle_core::bail!(
                "a feature map of {height}x{width} is too small for a kernel of {kernel}"
            );
        }
        let out_height = (first + height + last - kernel) / stride + 1;
        let out_width = (padded_width - kernel) / stride + 1;

        if let Some(shift) = after.shift {
            expect("a convolution's shift", shift, &[rows, outputs])?;
        }
        if let Some(residual) = after.residual {
            let shape = [rows, outputs, out_height, out_width];
            expect("a convolution's residual", residual, &shape)?;
        }
        let affine = match before {
            Before::NormSilu(norm) => Some(affine(norm, &input)?),
            Before::Nothing | Before::Resize(..) => None,
        };
        let (weight, base) = (plain(&self.weight)?, self.base(rows, after.shift)?);
        let residual = after.residual.map(channels_last).transpose()?;
        let source = PaddedInput {
            height: in_height,
            width: in_width,
            channels: inputs,
            resized: (height, width),
        };
        let line = padded_width * inputs;
        let per_piece = lines_per_piece(out_height, stride, kernel, line);

        let mut out = vec![0f32; rows * out_height * out_width * outputs];
        {
            let (input, weight) = (Values::of(&input)?, Values::of(&weight)?);
            let residual = residual.as_ref().map(Values::of).transpose()?;
            let (input, weight, residual): (&[f32], &[f32], _) =
                (&input, &weight, residual.as_deref());
            let (out_row, out_line) = (out_height * out_width * outputs, out_width * outputs);
            let work = pieces(&mut out, out_row, per_piece * out_line);
            let cost = rows * out_row * kernel * kernel * inputs;
            each(work, cost, |(row, at, out)| {
                let count = out.len() / out_line;
                let top = at / out_line * stride;
                let base = &base[row * outputs..][..outputs];
                match residual {
                    Some(residual) => {
                        add_pixels(out, &residual[row * out_row + at..][..out.len()], base)
                    }
                    None => out
                        .chunks_exact_mut(outputs)
                        .for_each(|pixel| pixel.copy_from_slice(base)),
                }
                let lines = (count - 1) * stride + kernel;
                with_scratch(lines * line, |scratch| {
                    let map = &input[row * in_height * in_width * inputs..]
                        [..in_height * in_width * inputs];
                    for (i, padded) in scratch.chunks_exact_mut(line).enumerate() {
                        let y = (top + i).checked_sub(first).filter(|&y| y < height);
                        source.pad_line(
                            padded,
                            map,
                            y,
                            first,
                            affine.as_ref().map(|a| a.row(row, inputs)),
                        );
                    }
                    for (y, out) in out.chunks_exact_mut(out_line).enumerate() {
                        for ky in 0..kernel {
                            product(
                                (out_width, kernel * inputs, outputs),
                                out,
                                outputs,
                                true,
                                Matrix::rows(&scratch[(y * stride + ky) * line..], stride * inputs),
                                Matrix::rows(&weight[ky * kernel * inputs * outputs..], outputs),
                                1.0,
                            );
                        }
                    }
                });
            });
        }
        Tensor::from_vec(out, (rows, out_height, out_width, outputs), x.device())?
            .to_dtype(x.dtype())?
            .permute((0, 3, 1, 2))
    }
}

/// Output lines of one piece: what fits the scratch buffer, and at least two pieces a row where there are lines for it,
/// so that two threads share three rows evenly.
fn lines_per_piece(out_height: usize, stride: usize, kernel: usize, line: usize) -> usize {
    let fits = (SCRATCH / line.max(1)).saturating_sub(kernel - 1) / stride;
    fits.clamp(2, out_height.div_ceil(2).max(2))
}

/// Where padded lines come from.
struct PaddedInput {
    height: usize,
    width: usize,
    channels: usize,
    /// Height and width after resizing.
    resized: (usize, usize),
}

impl PaddedInput {
    /// Fills one padded line: zeros outside, line `y` of the (resized) input inside, normalised if so asked.
    fn pad_line(
        &self,
        padded: &mut [f32],
        map: &[f32],
        y: Option<usize>,
        left: usize,
        affine: Option<(&[f32], &[f32])>,
    ) {
        let (height, width) = self.resized;
        let Some(y) = y else {
            padded.fill(0.0);
            return;
        };
        let (before, rest) = padded.split_at_mut(left * self.channels);
        let (inside, after) = rest.split_at_mut(width * self.channels);
        before.fill(0.0);
        after.fill(0.0);
        let line = &map[y * self.height / height * self.width * self.channels..]
            [..self.width * self.channels];
        if let Some((scale, shift)) = affine {
            affine_silu_lines(inside, line, scale, shift);
        } else if width == self.width {
            inside.copy_from_slice(line);
        } else {
            for (x, pixel) in inside.chunks_exact_mut(self.channels).enumerate() {
                pixel.copy_from_slice(
                    &line[x * self.width / width * self.channels..][..self.channels],
                );
            }
        }
    }
}

simd! {
    fn add_pixels(out: &mut [f32], pixels: &[f32], base: &[f32]) {
        for (out, pixel) in out.chunks_exact_mut(base.len()).zip(pixels.chunks_exact(base.len())) {
            for ((out, &x), &base) in out.iter_mut().zip(pixel).zip(base) {
                *out = x + base;
            }
        }
    }
}
