//! A softmax over keys that come in pieces: what was summed before is scaled whenever a larger score turns up.

use half::bf16;

use super::block::{Block, SIDE};
use super::line::{LINE, Line, narrow};
use crate::kernels::cpu::simd::simd;

/// The state of 32 queries.
pub(super) struct Softmax {
    /// Scores times this are exponents of two.
    by: f32,
    largest: [f32; SIDE],
    /// Sums of the weights so far.
    pub(super) totals: [f32; SIDE],
    /// What earlier sums are to be multiplied with.
    pub(super) factors: [f32; SIDE],
}

impl Softmax {
    /// For heads so wide.
    pub(super) fn new(width: usize) -> Self {
        Self {
            by: std::f32::consts::LOG2_E / (width as f32).sqrt(),
            largest: [f32::NEG_INFINITY; SIDE],
            totals: [0.0; SIDE],
            factors: [0.0; SIDE],
        }
    }

    /// For the next queries.
    pub(super) fn restart(&mut self) {
        *self = Self {
            by: self.by,
            largest: [f32::NEG_INFINITY; SIDE],
            totals: [0.0; SIDE],
            factors: [0.0; SIDE],
        };
    }

    /// The weights of some panels of keys, `out[panel * SIDE + query]`; keys beyond `keys` get none.
    pub(super) fn weigh(&mut self, scores: &[Block], keys: usize, out: &mut [Line]) {
        let Self {
            by,
            largest,
            totals,
            factors,
        } = self;
        weigh(scores, keys, *by, (largest, totals), factors, out);
    }
}

/// 2^x to 4e-6, for x of at most 0; 0 below -126.
#[inline(always)]
fn exp2(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LOW: f32 = -126.0;
    let inside = if x < LOW { LOW } else { x };
    let shifted = inside + ROUND;
    let r = inside - (shifted - ROUND);
    // Taylor's series in r ln 2; |r| <= 1/2.
    let p = 9.618_129e-3;
    let p = p * r + 5.550_411e-2;
    let p = p * r + 0.240_226_5;
    let p = p * r + std::f32::consts::LN_2;
    let p = p * r + 1.0;
    let power = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < LOW { 0.0 } else { power }
}

simd! {
    fn weigh(
        scores: &[Block],
        keys: usize,
        by: f32,
        state: (&mut [f32; SIDE], &mut [f32; SIDE]),
        factors: &mut [f32; SIDE],
        out: &mut [Line],
    ) {
        let (largest, totals) = state;
        for query in 0..SIDE {
            let mut tops = [f32::NEG_INFINITY; LINE];
            for (panel, block) in scores.iter().enumerate() {
                let line = &block.0[query * SIDE..][..SIDE];
                let some = keys - panel * SIDE;
                if some >= SIDE {
                    for (top, &x) in tops.iter_mut().zip(line) {
                        *top = if x > *top { x } else { *top };
                    }
                } else {
                    for (top, &x) in tops.iter_mut().zip(&line[..some]) {
                        *top = if x > *top { x } else { *top };
                    }
                }
            }
            let top = tops.iter().fold(largest[query], |a, &b| if b > a { b } else { a });
            factors[query] = exp2((largest[query] - top) * by);
            largest[query] = top;
            let mut sums = [0f32; LINE];
            for (panel, block) in scores.iter().enumerate() {
                let line = &block.0[query * SIDE..][..SIDE];
                let some = (keys - panel * SIDE).min(SIDE);
                let mut weights = [0f32; LINE];
                for (weight, &x) in weights.iter_mut().zip(line) {
                    *weight = exp2((x - top) * by);
                }
                weights[some..].fill(0.0);
                let out = &mut out[panel * SIDE + query].0;
                for ((out, sum), &weight) in out.iter_mut().zip(&mut sums).zip(&weights) {
                    *out = narrow(weight);
                    *sum += weight;
                }
            }
            totals[query] = totals[query] * factors[query] + sums.iter().sum::<f32>();
        }
    }
}

simd! {
    /// `sums * factors + product`, query by query.
    pub(super) fn add_scaled(sums: &mut [f32], product: &[f32], factors: &[f32; SIDE]) {
        let lines = sums.chunks_exact_mut(SIDE).zip(product.chunks_exact(SIDE));
        for ((sums, product), &factor) in lines.zip(factors) {
            for (sum, &x) in sums.iter_mut().zip(product) {
                *sum = *sum * factor + x;
            }
        }
    }
}

simd! {
    /// The queries' values: sums over totals, rounded.
    pub(super) fn divided(out: &mut [bf16], width: usize, sums: &[Block], totals: &[f32; SIDE]) {
        for ((query, out), &total) in out.chunks_exact_mut(width).enumerate().zip(totals) {
            let factor = 1.0 / total;
            for (out, block) in out.chunks_mut(SIDE).zip(sums) {
                for (out, &x) in out.iter_mut().zip(&block.0[query * SIDE..]) {
                    *out = narrow(x * factor);
                }
            }
        }
    }
}
