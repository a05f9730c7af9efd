//! Linear layers, with a residual added on the way, and the gated feed-forward layer.

use candle_core::{D, Result, Tensor};
use candle_nn::VarBuilder;

use super::memory::{Matrix, Values, each, expect, pieces, plain, product, with_scratch};
use super::native;
use super::simd::{gelu, simd};

/// Lines of one piece of work.
const PIECE: usize = 128;

/// `x W^T + b`.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// `[inputs, outputs]` for the processor's kernel, `[outputs, inputs]` elsewhere.
    weight: Tensor,
    bias: Option<Tensor>,
    native: bool,
}

impl Linear {
    /// From `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    pub(crate) fn new(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Self> {
        Self::from_tensors(
            &vb.get((outputs, inputs), "weight")?,
            Some(vb.get(outputs, "bias")?),
        )
    }

    /// Without a bias.
    pub(crate) fn no_bias(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Self> {
        Self::from_tensors(&vb.get((outputs, inputs), "weight")?, None)
    }

    /// From a 1x1 convolution's weights.
    pub(crate) fn pointwise(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Self> {
        let weight = vb
            .get((outputs, inputs, 1, 1), "weight")?
            .reshape((outputs, inputs))?;
        Self::from_tensors(&weight, Some(vb.get(outputs, "bias")?))
    }

    /// From `[outputs, inputs]` and `[outputs]`.
    pub(crate) fn from_tensors(weight: &Tensor, bias: Option<Tensor>) -> Result<Self> {
        let native = native(weight.device());
        let weight = if native {
            weight.t()?.contiguous()?
        } else {
            weight.clone()
        };
        Ok(Self {
            weight,
            bias,
            native,
        })
    }

    /// `[rows, lines, inputs]` to `[rows, lines, outputs]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.native {
            self.by_pieces(x, None, false)
        } else {
            self.by_candle(x)
        }
    }

    /// The same plus `residual` `[rows, lines, outputs]`.
    pub(crate) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        if self.native {
            self.by_pieces(x, Some(residual), false)
        } else {
            self.by_candle(x)? + residual
        }
    }

    /// Applies the layer and multiplies the first half of its outputs by GELU of the second: `[rows, lines, inputs]` to
    /// `[rows, lines, outputs / 2]` (diffusers' GEGLU).
    pub(crate) fn forward_gated(&self, x: &Tensor) -> Result<Tensor> {
        if self.native {
            return self.by_pieces(x, None, true);
        }
        let halves = self.by_candle(x)?.chunk(2, D::Minus1)?;
        &halves[0] * halves[1].gelu_erf()?
    }

    fn by_candle(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, lines, inputs) = x.dims3()?;
        let y = x
            .reshape((rows * lines, inputs))?
            .matmul(&self.weight.t()?)?;
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        y.reshape((rows, lines, ()))
    }

    fn by_pieces(&self, x: &Tensor, residual: Option<&Tensor>, gated: bool) -> Result<Tensor> {
        let (rows, lines, _) = x.dims3()?;
        let (inputs, outputs) = self.weight.dims2()?;
        expect("a linear layer's input", x, &[rows, lines, inputs])?;
        if let Some(residual) = residual {
            expect(
                "a linear layer's residual",
                residual,
                &[rows, lines, outputs],
            )?;
        }
        let width = if gated { outputs / 2 } else { outputs };
        let (input, weight) = (plain(x)?, plain(&self.weight)?);
        let bias = self.bias.as_ref().map(plain).transpose()?;
        let residual = residual.map(plain).transpose()?;
        let mut out = vec![0f32; rows * lines * width];
        {
            let (input, weight) = (Values::of(&input)?, Values::of(&weight)?);
            let bias = bias.as_ref().map(Values::of).transpose()?;
            let residual = residual.as_ref().map(Values::of).transpose()?;
            let (input, weight): (&[f32], &[f32]) = (&input, &weight);
            let bias = bias.as_deref().map(|bias| &bias[..outputs]);
            let residual = residual.as_deref();
            // Lines of the whole batch from `first` on.
            let run = |first: usize, out: &mut [f32]| {
                match (bias, residual) {
                    (Some(bias), None) => {
                        out.chunks_exact_mut(outputs)
                            .for_each(|line| line.copy_from_slice(bias));
                    }
                    (None, Some(residual)) => {
                        out.copy_from_slice(&residual[first * outputs..][..out.len()]);
                    }
                    (Some(bias), Some(residual)) => {
                        add_lines(out, &residual[first * outputs..], bias);
                    }
                    (None, None) => (),
                }
                product(
                    (out.len() / outputs, inputs, outputs),
                    out,
                    outputs,
                    bias.is_some() || residual.is_some(),
                    Matrix {
                        values: &input[first * inputs..],
                        row: inputs,
                        column: 1,
                    },
                    Matrix {
                        values: weight,
                        row: outputs,
                        column: 1,
                    },
                    1.0,
                );
            };
            let work = pieces(&mut out, lines * width, PIECE * width);
            each(work, rows * lines * inputs * outputs, |(row, at, out)| {
                let first = row * lines + at / width;
                if gated {
                    with_scratch(out.len() / width * outputs, |both| {
                        run(first, both);
                        gate_lines(out, both, width);
                    });
                } else {
                    run(first, out);
                }
            });
        }
        Tensor::from_vec(out, (rows, lines, width), x.device())?.to_dtype(x.dtype())
    }
}

simd! {
    fn add_lines(out: &mut [f32], lines: &[f32], shift: &[f32]) {
        for (out, line) in out.chunks_exact_mut(shift.len()).zip(lines.chunks_exact(shift.len())) {
            for ((out, &x), &shift) in out.iter_mut().zip(line).zip(shift) {
                *out = x + shift;
            }
        }
    }
}

simd! {
    fn gate_lines(out: &mut [f32], both: &[f32], half: usize) {
        for (out, line) in out.chunks_exact_mut(half).zip(both.chunks_exact(2 * half)) {
            let (values, gates) = line.split_at(half);
            for ((out, &value), &gate) in out.iter_mut().zip(values).zip(gates) {
                *out = value * gelu(gate);
            }
        }
    }
}
