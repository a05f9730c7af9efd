//! What happens to a product on its way out: bias or shift, residual, gate, rounding.

use half::bf16;

use super::block::SIDE;
use super::line::{narrow, wide};
use crate::kernels::cpu::simd::{gelu, simd};

/// The point of a line that makes none.
pub(super) const SKIP: u32 = u32::MAX;

/// What is added to a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish<'a> {
    /// Outputs of the layer.
    pub(super) outputs: usize,
    /// `[outputs]`; `[rows, outputs]` where rows differ; empty for none.
    pub(super) base: &'a [f32],
    /// Shaped as the output.
    pub(super) residual: Option<&'a [bf16]>,
    /// Points of a row.
    pub(super) points: usize,
    /// Whether the second half of the outputs gates the first. Halves are whole panels then.
    pub(super) gated: bool,
}

/// Where a tile's product goes.
pub(super) struct Target<'a> {
    /// A band's points, `columns` values each.
    pub(super) out: &'a mut [bf16],
    pub(super) columns: usize,
    /// Column of the product's first.
    pub(super) at: usize,
    /// Output of the layer that the product's first column is.
    pub(super) output: usize,
    /// Row of the batch, and the band's first point in it.
    pub(super) place: (usize, usize),
}

impl Finish<'_> {
    /// Values of each of the output's points.
    pub(super) fn width(&self) -> usize {
        if self.gated {
            self.outputs / 2
        } else {
            self.outputs
        }
    }

    fn base(&self, row: usize, output: usize) -> [f32; SIDE] {
        let row = if self.base.len() > self.outputs {
            row
        } else {
            0
        };
        let mut base = [0f32; SIDE];
        let end = (output + SIDE).min(self.outputs);
        if let Some(values) = self
            .base
            .get(row * self.outputs + output..row * self.outputs + end)
        {
            base[..values.len()].copy_from_slice(values);
        }
        base
    }

    /// Writes the product of a tile whose lines make `points`.
    pub(super) fn tile(
        &self,
        target: Target<'_>,
        product: &[f32],
        gates: Option<&[f32]>,
        points: &[u32],
    ) {
        let Target {
            out,
            columns,
            at,
            output,
            place: (row, first),
        } = target;
        let base = self.base(row, output);
        if let Some(gates) = gates {
            let gate_base = self.base(row, self.outputs / 2 + output);
            gated(
                (out, columns, at),
                points,
                (product, gates),
                (&base, &gate_base),
            );
            return;
        }
        let width = self.width();
        let residual = match self.residual {
            Some(residual) => &residual[(row * self.points + first) * width + output..],
            None => &[],
        };
        added(
            (out, columns, at),
            points,
            product,
            &base,
            (residual, width),
        );
    }
}

simd! {
    /// `product + base + residual`, rounded.
    fn added(
        target: (&mut [bf16], usize, usize),
        points: &[u32],
        product: &[f32],
        base: &[f32; SIDE],
        residual: (&[bf16], usize),
    ) {
        let ((out, columns, at), (residual, width)) = (target, residual);
        let some = (columns - at).min(SIDE);
        for (product, &point) in product.chunks_exact(SIDE).zip(points) {
            if point == SKIP {
                continue;
            }
            let out = &mut out[point as usize * columns + at..][..some];
            let residual = match residual.is_empty() {
                true => residual,
                false => &residual[point as usize * width..][..some],
            };
            let mut sums = [0f32; SIDE];
            for ((sum, &x), &base) in sums.iter_mut().zip(product).zip(base) {
                *sum = x + base;
            }
            if let Ok(residual) = <&[bf16; SIDE]>::try_from(residual) {
                for (sum, &x) in sums.iter_mut().zip(residual) {
                    *sum += wide(x);
                }
            } else {
                for (sum, &x) in sums.iter_mut().zip(residual) {
                    *sum += wide(x);
                }
            }
            if let Ok(out) = <&mut [bf16; SIDE]>::try_from(&mut *out) {
                for (out, &sum) in out.iter_mut().zip(&sums) {
                    *out = narrow(sum);
                }
            } else {
                for (out, &sum) in out.iter_mut().zip(&sums) {
                    *out = narrow(sum);
                }
            }
        }
    }
}

simd! {
    /// `(product + base) * gelu(gates + gate_base)`, rounded. Whole blocks only.
    fn gated(
        target: (&mut [bf16], usize, usize),
        points: &[u32],
        products: (&[f32], &[f32]),
        bases: (&[f32; SIDE], &[f32; SIDE]),
    ) {
        let ((out, columns, at), (product, gates), (base, gate_base)) = (target, products, bases);
        let lines = product.chunks_exact(SIDE).zip(gates.chunks_exact(SIDE));
        for ((product, gates), &point) in lines.zip(points) {
            if point == SKIP {
                continue;
            }
            let out = &mut out[point as usize * columns + at..][..SIDE];
            for i in 0..SIDE {
                out[i] = narrow((product[i] + base[i]) * gelu(gates[i] + gate_base[i]));
            }
        }
    }
}
