//! Convolutions as products of tiles: what each tap of the kernel reads lies some lines further on in one padded map, so that
//! nothing is copied per tap.

use candle_core::{Result, Tensor, bail};

use super::finish::Finish;
use super::memory::{Values, channels_last, packed, parameters};
use super::norm::affine;
use super::packed::Packed;
use super::padded::{Padded, Size};
use super::path::Path;
use super::work::{Band, Work};
use crate::kernels::backend::{After, Before, Conv, Padding, expect};

/// The weights as blocks read them.
#[derive(Debug)]
pub(super) struct TileConv {
    path: Path,
    weights: Packed,
    /// `[outputs]`
    bias: Vec<f32>,
    kernel: usize,
    stride: usize,
    padding: Padding,
}

impl TileConv {
    /// From `weight` `[outputs, inputs, kernel, kernel]` and `bias` `[outputs]`.
    pub(super) fn new(
        path: Path,
        weight: &Tensor,
        bias: &Tensor,
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        let (outputs, inputs, kernel, _) = weight.dims4()?;
        let weight = packed(weight)?;
        Ok(Self {
            path,
            weights: Packed::new(&Values::of(&weight)?, (outputs, inputs, kernel * kernel)),
            bias: parameters(bias)?,
            kernel,
            stride,
            padding,
        })
    }

    /// Bias plus the shift of each row.
    fn base(&self, shift: Option<&Tensor>) -> Result<Vec<f32>> {
        let Some(shift) = shift else {
            return Ok(self.bias.clone());
        };
        let mut base = parameters(shift)?;
        for row in base.chunks_exact_mut(self.bias.len()) {
            for (x, bias) in row.iter_mut().zip(&self.bias) {
                *x += bias;
            }
        }
        Ok(base)
    }
}

impl Conv for TileConv {
    fn forward_with(&self, x: &Tensor, before: Before<'_>, after: After<'_>) -> Result<Tensor> {
        let (rows, _, in_height, in_width) = x.dims4()?;
        let Packed {
            inputs, outputs, ..
        } = self.weights;
        expect(
            "a convolution's input",
            x,
            &[rows, inputs, in_height, in_width],
        )?;
        let (height, width) = match before {
            Before::Resize(height, width) => (height, width),
            Before::Nothing | Before::NormSilu(_) => (in_height, in_width),
        };
        // Zeros above and to the left, and below and to the right.
        let (first, last) = match self.padding {
            Padding::All(n) => (n, n),
            Padding::BottomRight => (0, 1),
        };
        let (kernel, stride) = (self.kernel, self.stride);
        let around = first + last;
        if height + around < kernel || width + around < kernel || in_height * in_width == 0 {
            bail!("a feature map of {height}x{width} is too small for a kernel of {kernel}");
        }
        let out_height = (height + around - kernel) / stride + 1;
        let out_width = (width + around - kernel) / stride + 1;
        if let Some(shift) = after.shift {
            expect("a convolution's shift", shift, &[rows, outputs])?;
        }
        if let Some(residual) = after.residual {
            let shape = [rows, outputs, out_height, out_width];
            expect("a convolution's residual", residual, &shape)?;
        }
        let input = channels_last(x)?;
        let input = Values::of(&input)?;
        let row_len = in_height * in_width * inputs;
        let affine = match before {
            Before::NormSilu(norm) => Some(affine(norm, &input[..rows * row_len], (rows, inputs))?),
            Before::Nothing | Before::Resize(..) => None,
        };
        let residual = after.residual.map(channels_last).transpose()?;
        let residual = residual.as_ref().map(Values::of).transpose()?;
        let padded = Padded::new(
            Size {
                channels: inputs,
                input: (in_height, in_width),
                resized: (height, width),
                out: (out_height, out_width),
            },
            (kernel, stride, first, around),
        );
        let points = out_height * out_width;
        let base = self.base(after.shift)?;
        let lines = padded.lines_per_band(rows);
        let band = |row: usize, line: usize| Band {
            row,
            first: line * out_width,
            count: lines.min(out_height - line) * out_width,
        };
        let bands = (0..rows).flat_map(|row| {
            (0..out_height)
                .step_by(lines)
                .map(move |line| band(row, line))
        });
        let work = Work {
            path: self.path,
            weights: &self.weights,
            bands: bands.collect(),
            shape: |band: &Band| padded.shape(band),
            fill: |band: &Band, out: &mut [_]| {
                let map = &input[band.row * row_len..][..row_len];
                let affine = affine.as_ref().map(|a| a.row(band.row, inputs));
                padded.fill(band, map, affine, out);
            },
            finish: Finish {
                outputs,
                base: &base,
                residual: residual.as_deref(),
                points,
                gated: false,
            },
        };
        let out = work.run();
        Tensor::from_vec(out, (rows, out_height, out_width, outputs), x.device())?
            .permute((0, 3, 1, 2))
    }
}
