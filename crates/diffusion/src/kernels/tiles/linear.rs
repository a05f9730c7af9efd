//! Linear layers, with a residual added on the way, and the gated feed-forward layer.

use candle_core::{Result, Tensor};
use half::bf16;

use super::block::SIDE;
use super::finish::Finish;
use super::line::{LINE, Line, narrow, wide};
use super::memory::{Values, packed, parameters};
use super::packed::{Packed, steps};
use super::path::Path;
use super::work::{BAND, Band, Shape, Tile, Work};
use crate::kernels::backend::{Linear, expect};
use crate::kernels::cpu::simd::{gelu, simd};

/// The weights as blocks read them.
#[derive(Debug)]
pub(super) struct TileLinear {
    path: Path,
    weights: Packed,
    /// `[outputs]`, or empty.
    bias: Vec<f32>,
}

impl Linear for TileLinear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None, false)
    }

    fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(x, Some(residual), false)
    }

    fn forward_gated(&self, x: &Tensor) -> Result<Tensor> {
        let half = self.weights.outputs / 2;
        if half.is_multiple_of(SIDE) {
            return self.run(x, None, true);
        }
        let (rows, lines, _) = x.dims3()?;
        let both = self.run(x, None, false)?;
        let mut out = vec![bf16::ZERO; rows * lines * half];
        gate_lines(&mut out, &Values::of(&both)?, half);
        Tensor::from_vec(out, (rows, lines, half), x.device())
    }
}

impl TileLinear {
    /// From `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    pub(super) fn new(path: Path, weight: &Tensor, bias: Option<Tensor>) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let weight = packed(weight)?;
        Ok(Self {
            path,
            weights: Packed::new(&Values::of(&weight)?, (outputs, inputs, 1)),
            bias: bias
                .as_ref()
                .map(parameters)
                .transpose()?
                .unwrap_or_default(),
        })
    }

    fn run(&self, x: &Tensor, residual: Option<&Tensor>, gated: bool) -> Result<Tensor> {
        let (rows, lines, _) = x.dims3()?;
        let Packed {
            inputs, outputs, ..
        } = self.weights;
        expect("a linear layer's input", x, &[rows, lines, inputs])?;
        if let Some(residual) = residual {
            let shape = [rows, lines, outputs];
            expect("a linear layer's residual", residual, &shape)?;
        }
        let input = packed(x)?;
        let residual = residual.map(packed).transpose()?;
        let input = Values::of(&input)?;
        let residual = residual.as_ref().map(Values::of).transpose()?;
        // The batch's rows are one row here: every line is computed alone.
        let points = rows * lines;
        let work = Work {
            path: self.path,
            weights: &self.weights,
            bands: bands(points, inputs),
            shape: |band: &Band| Shape {
                step: band.count,
                taps: vec![0],
                tiles: Tile::straight(band.count),
            },
            fill: |band: &Band, out: &mut [Line]| {
                fill(
                    out,
                    &input[band.first * inputs..][..band.count * inputs],
                    inputs,
                );
            },
            finish: Finish {
                outputs,
                base: &self.bias,
                residual: residual.as_deref(),
                points,
                gated,
            },
        };
        let width = work.finish.width();
        Tensor::from_vec(work.run(), (rows, lines, width), x.device())
    }
}

/// Lines in bands that fit the cache, and that all threads have two of.
fn bands(points: usize, inputs: usize) -> Vec<Band> {
    let fits = BAND / steps(inputs).max(1);
    let shared = points.div_ceil(2 * rayon::current_num_threads());
    let count = fits.min(shared).max(4 * SIDE).next_multiple_of(SIDE);
    (0..points)
        .step_by(count)
        .map(|first| Band {
            row: 0,
            first,
            count: count.min(points - first),
        })
        .collect()
}

simd! {
    /// Lines of `inputs` values, as a left operand has them: `out[step * count + line]`.
    fn fill(out: &mut [Line], lines: &[bf16], inputs: usize) {
        let count = lines.len() / inputs;
        for (step, out) in out.chunks_exact_mut(count).enumerate() {
            let start = step * LINE;
            let some = LINE.min(inputs - start);
            for (out, line) in out.iter_mut().zip(lines.chunks_exact(inputs)) {
                let line = &line[start..start + some];
                if let Ok(line) = <[bf16; LINE]>::try_from(line) {
                    out.0 = line;
                } else {
                    *out = Line::ZERO;
                    out.0[..some].copy_from_slice(line);
                }
            }
        }
    }
}

simd! {
    fn gate_lines(out: &mut [bf16], both: &[bf16], half: usize) {
        for (out, line) in out.chunks_exact_mut(half).zip(both.chunks_exact(2 * half)) {
            let (values, gates) = line.split_at(half);
            for ((out, &value), &gate) in out.iter_mut().zip(values).zip(gates) {
                *out = narrow(wide(value) * gelu(wide(gate)));
            }
        }
    }
}
