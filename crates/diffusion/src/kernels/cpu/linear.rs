//! Linear layers, with a residual added on the way, and the gated feed-forward layer.

use candle_core::{Result, Tensor};

use super::memory::{Matrix, Values, each, pieces, plain, product, with_scratch};
use super::simd::{gelu, simd};
use crate::kernels::backend::{Linear, expect};

/// Lines of one piece of work.
const PIECE: usize = 128;

/// The weights as the kernel reads them.
#[derive(Debug)]
pub(super) struct CpuLinear {
    /// `[inputs, outputs]`
    weight: Tensor,
    /// `[outputs]`
    bias: Option<Tensor>,
}

impl Linear for CpuLinear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.by_pieces(x, None, false)
    }

    fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.by_pieces(x, Some(residual), false)
    }

    fn forward_gated(&self, x: &Tensor) -> Result<Tensor> {
        self.by_pieces(x, None, true)
    }
}

impl CpuLinear {
    /// From `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    pub(super) fn new(weight: &Tensor, bias: Option<Tensor>) -> Result<Self> {
        Ok(Self {
            weight: weight.t()?.contiguous()?,
            bias,
        })
    }

    fn by_pieces(&self, x: &Tensor, residual: Option<&Tensor>, gated: bool) -> Result<Tensor> {
        let (rows, lines, _) = x.dims3()?;
        let (inputs, outputs) = self.weight.dims2()?;
        expect("a linear layer's input", x, &[rows, lines, inputs])?;
        if let Some(residual) = residual {
            let shape = [rows, lines, outputs];
            expect("a linear layer's residual", residual, &shape)?;
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
                    Matrix::rows(&input[first * inputs..], inputs),
                    Matrix::rows(weight, outputs),
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
