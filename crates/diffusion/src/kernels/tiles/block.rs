//! Products of two tiles of lines by two tiles of columns, and what they are in plain words.

use super::line::{Line, wide};

/// Rows of a tile.
pub(super) const TILE: usize = 16;

/// Sides of a block: two tiles.
pub(super) const SIDE: usize = 2 * TILE;

/// Lines of one step of a panel of weights: 16 pairs of inputs for each half of the columns.
pub(super) const STEP: usize = 2 * TILE;

/// A product: element (i, j) at `i * SIDE + j`. Rows that the left operand does not have are whatever was there.
#[repr(C, align(64))]
pub(super) struct Block(pub(super) [f32; SIDE * SIDE]);

impl Block {
    /// The block before anything is added to it.
    pub(super) const ZERO: Self = Self([0.0; SIDE * SIDE]);
}

/// The left operand of a block: 32 inputs a line, the lines of further inputs `step` lines on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left<'a> {
    pub(super) lines: &'a [Line],
    /// First line of each tile.
    pub(super) starts: [usize; 2],
    /// Rows of each tile, at most [`TILE`]; the second may have none.
    pub(super) rows: [usize; 2],
    /// Lines further on that each tap of a kernel reads.
    pub(super) taps: &'a [usize],
    /// Lines from one step of 32 inputs to the next.
    pub(super) step: usize,
    /// Steps of each tap.
    pub(super) steps: usize,
}

impl Left<'_> {
    /// Whether all lines that a product reads are there, and so much of the panel.
    pub(super) fn fits(&self, panel: &[Line]) -> bool {
        let tap = self.taps.iter().copied().max().unwrap_or(0);
        let last = |i: usize| self.starts[i] + self.rows[i].saturating_sub(1);
        let furthest = match self.rows[1] {
            0 => last(0),
            _ => last(0).max(last(1)),
        };
        (1..=TILE).contains(&self.rows[0])
            && self.rows[1] <= TILE
            && self.steps > 0
            && !self.taps.is_empty()
            && furthest + tap + (self.steps - 1) * self.step < self.lines.len()
            && panel.len() >= self.taps.len() * self.steps * STEP
    }
}

/// What the tiles of AMX compute, to the bit: two sums of 16 fused products each per step, of even and of odd inputs, their sum
/// added to the total. Subnormal numbers are zeros.
pub(super) fn plain(left: &Left<'_>, panel: &[Line], out: &mut Block) {
    out.0.fill(0.0);
    let mut weights = panel.chunks_exact(STEP);
    for &tap in left.taps {
        for (step, weights) in (0..left.steps).zip(&mut weights) {
            for (half, first) in left.starts.into_iter().enumerate() {
                for i in 0..left.rows[half] {
                    let line = &left.lines[first + i + tap + step * left.step].0;
                    let out = &mut out.0[(half * TILE + i) * SIDE..][..SIDE];
                    for (j, out) in out.iter_mut().enumerate() {
                        let pairs = &weights[j / TILE * TILE..][..TILE];
                        let (mut even, mut odd) = (0f32, 0f32);
                        for (pair, x) in pairs.iter().zip(line.chunks_exact(2)) {
                            let w = &pair.0[2 * (j % TILE)..][..2];
                            even = fused(wide(x[0]), wide(w[0]), even);
                            odd = fused(wide(x[1]), wide(w[1]), odd);
                        }
                        *out = flushed(*out + flushed(even + odd));
                    }
                }
            }
        }
    }
}

fn fused(a: f32, b: f32, c: f32) -> f32 {
    flushed(flushed(a).mul_add(flushed(b), c))
}

fn flushed(x: f32) -> f32 {
    if x.is_subnormal() {
        0f32.copysign(x)
    } else {
        x
    }
}
