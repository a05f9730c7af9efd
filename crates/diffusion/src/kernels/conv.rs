//! Convolutions, with what comes before and after them done on the way.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::memory::{
    Matrix, Values, channels_last, each, expect, pieces, plain, product, with_scratch,
};
use super::native;
use super::norm::{GroupNorm, affine_silu_lines};
use super::simd::simd;

/// Values that a piece's padded input may have: half a megabyte, so that it stays in the second-level cache.
const SCRATCH: usize = 1 << 17;

/// Zeros around the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// On every side.
    All(usize),
    /// One line below and one column to the right: diffusers' downsampling with padding 0.
    BottomRight,
}

impl Padding {
    /// (top and left, bottom and right).
    fn sides(self) -> (usize, usize) {
        match self {
            Self::All(n) => (n, n),
            Self::BottomRight => (0, 1),
        }
    }
}

/// What happens to the input first.
#[derive(Clone, Copy)]
pub(crate) enum Before<'a> {
    /// Nothing.
    Nothing,
    /// Group normalisation, then SiLU.
    NormSilu(&'a GroupNorm),
    /// Nearest-neighbour resizing to (height, width).
    Resize(usize, usize),
}

/// What is added to the output.
#[derive(Clone, Copy, Default)]
pub(crate) struct After<'a> {
    /// `[rows, channels]`.
    pub(crate) shift: Option<&'a Tensor>,
    /// Shaped as the output.
    pub(crate) residual: Option<&'a Tensor>,
}

/// A square convolution over `[rows, channels, height, width]`.
#[derive(Clone, Debug)]
pub(crate) struct Conv2d {
    /// `[kernel, kernel, inputs, outputs]` for the processor's kernel, `[outputs, inputs, kernel, kernel]` elsewhere.
    weight: Tensor,
    bias: Tensor,
    kernel: usize,
    stride: usize,
    padding: Padding,
    native: bool,
}

impl Conv2d {
    /// Reads `weight` and `bias`. Without padding a kernel of 3 gets 1 on every side and a kernel of 1 none.
    pub(crate) fn new(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        vb: VarBuilder,
    ) -> Result<Self> {
        Self::strided(inputs, outputs, kernel, 1, Padding::All(kernel / 2), vb)
    }

    /// With a stride and a padding.
    pub(crate) fn strided(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
        vb: VarBuilder,
    ) -> Result<Self> {
        let weight = vb.get((outputs, inputs, kernel, kernel), "weight")?;
        let bias = vb.get(outputs, "bias")?;
        let native = native(weight.device());
        let weight = if native {
            weight.permute((2, 3, 1, 0))?.contiguous()?
        } else {
            weight
        };
        Ok(Self {
            weight,
            bias,
            kernel,
            stride,
            padding,
            native,
        })
    }

    /// Convolves.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_with(x, Before::Nothing, After::default())
    }

    /// Convolves what `before` makes of the input and adds `after`.
    pub(crate) fn forward_with(
        &self,
        x: &Tensor,
        before: Before<'_>,
        after: After<'_>,
    ) -> Result<Tensor> {
        if self.native {
            self.by_lines(x, before, after)
        } else {
            self.by_candle(x, before, after)
        }
    }

    fn by_candle(&self, x: &Tensor, before: Before<'_>, after: After<'_>) -> Result<Tensor> {
        let x = match before {
            Before::Nothing => x.contiguous()?,
            Before::NormSilu(norm) => norm.by_candle_silu(x)?,
            Before::Resize(height, width) => x.contiguous()?.upsample_nearest2d(height, width)?,
        };
        let (x, padding) = match self.padding {
            Padding::All(n) => (x, n),
            Padding::BottomRight => (x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?, 0),
        };
        let y = x.conv2d(&self.weight, padding, self.stride, 1, 1)?;
        let bias = self.bias.reshape((1, (), 1, 1))?;
        let y = match after.shift {
            Some(shift) => y.broadcast_add(
                &shift
                    .broadcast_add(&self.bias)?
                    .unsqueeze(2)?
                    .unsqueeze(3)?,
            )?,
            None => y.broadcast_add(&bias)?,
        };
        match after.residual {
            Some(residual) => y + residual,
            None => Ok(y),
        }
    }

    /// Line by line of the output: for each line of the kernel one matrix product, whose left side is the padded input
    /// itself, since with channels last the kernel's columns lie next to each other.
    fn by_lines(&self, x: &Tensor, before: Before<'_>, after: After<'_>) -> Result<Tensor> {
        let input = channels_last(x)?;
        let (rows, in_height, in_width, _) = input.dims4()?;
        let (_, _, inputs, outputs) = self.weight.dims4()?;
        expect(
            "a convolution's input",
            x,
            &[rows, inputs, in_height, in_width],
        )?;
        let (height, width) = match before {
            Before::Resize(height, width) => (height, width),
            Before::Nothing | Before::NormSilu(_) => (in_height, in_width),
        };
        let (first, last) = self.padding.sides();
        let (kernel, stride) = (self.kernel, self.stride);
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
            expect(
                "a convolution's residual",
                residual,
                &[rows, outputs, out_height, out_width],
            )?;
        }
        let affine = match before {
            Before::NormSilu(norm) => Some(norm.affine(&input)?),
            Before::Nothing | Before::Resize(..) => None,
        };
        let (weight, base) = (plain(&self.weight)?, self.base(rows, after.shift)?);
        let residual = after.residual.map(channels_last).transpose()?;
        let source = Source {
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
            let (out_lane, out_line) = (out_height * out_width * outputs, out_width * outputs);
            let work = pieces(&mut out, out_lane, per_piece * out_line);
            let cost = rows * out_lane * kernel * kernel * inputs;
            each(work, cost, |(row, at, out)| {
                let count = out.len() / out_line;
                let top = at / out_line * stride;
                let base = &base[row * outputs..][..outputs];
                match residual {
                    Some(residual) => {
                        add_pixels(out, &residual[row * out_lane + at..][..out.len()], base)
                    }
                    None => out
                        .chunks_exact_mut(outputs)
                        .for_each(|pixel| pixel.copy_from_slice(base)),
                }
                let lines = (count - 1) * stride + kernel;
                with_scratch(lines * line, |scratch| {
                    let lane = &input[row * in_height * in_width * inputs..]
                        [..in_height * in_width * inputs];
                    for (i, padded) in scratch.chunks_exact_mut(line).enumerate() {
                        let y = (top + i).checked_sub(first).filter(|&y| y < height);
                        source.pad_line(
                            padded,
                            lane,
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
                                Matrix {
                                    values: &scratch[(y * stride + ky) * line..],
                                    row: stride * inputs,
                                    column: 1,
                                },
                                Matrix {
                                    values: &weight[ky * kernel * inputs * outputs..],
                                    row: outputs,
                                    column: 1,
                                },
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

/// Output lines of one piece: what fits the scratch buffer, and at least two pieces a row where there are lines for it,
/// so that two threads share three rows evenly.
fn lines_per_piece(out_height: usize, stride: usize, kernel: usize, line: usize) -> usize {
    let fits = (SCRATCH / line.max(1)).saturating_sub(kernel - 1) / stride;
    fits.clamp(2, out_height.div_ceil(2).max(2))
}

/// Where padded lines come from.
struct Source {
    height: usize,
    width: usize,
    channels: usize,
    /// Height and width after resizing.
    resized: (usize, usize),
}

impl Source {
    /// Fills one padded line: zeros outside, line `y` of the (resized) input inside, normalised if so asked.
    fn pad_line(
        &self,
        padded: &mut [f32],
        lane: &[f32],
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
        let line = &lane[y * self.height / height * self.width * self.channels..]
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
