//! A layer's product in pieces: bands of the output's points, by all threads.

use half::bf16;

use super::block::{Block, Left, SIDE, TILE};
use super::finish::{Finish, SKIP, Target};
use super::line::{Line, with_lines};
use super::packed::Packed;
use super::path::{Path, Session};
use crate::kernels::cpu::memory::each;

/// Lines of a band's left operand that stay in the second-level cache beside a panel of weights.
pub(super) const BAND: usize = 10_000;

/// Some of a row's output points, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    /// Row of the batch.
    pub(super) row: usize,
    /// First point, in the row.
    pub(super) first: usize,
    /// Points of the band.
    pub(super) count: usize,
}

/// What a band's left operand looks like.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// Lines of one step.
    pub(super) step: usize,
    /// Lines further on that each tap reads.
    pub(super) taps: Vec<usize>,
    /// The left operand's tiles.
    pub(super) tiles: Vec<Tile>,
}

/// Sixteen lines or fewer of a left operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// The first.
    pub(super) start: usize,
    /// Lines of the tile, 1 to 16.
    pub(super) rows: usize,
    /// The band's output point that each makes, or [`SKIP`].
    pub(super) points: [u32; TILE],
}

impl Tile {
    /// `rows` lines from `start` on, which make what `point` says.
    pub(super) fn new(start: usize, rows: usize, point: impl Fn(usize) -> Option<usize>) -> Self {
        let mut points = [SKIP; TILE];
        for (i, place) in points.iter_mut().enumerate().take(rows) {
            *place = point(i).map_or(SKIP, |point| point as u32);
        }
        Self {
            start,
            rows,
            points,
        }
    }

    /// Points that lie as their lines do.
    pub(super) fn straight(count: usize) -> Vec<Self> {
        (0..count)
            .step_by(TILE)
            .map(|start| Self::new(start, TILE.min(count - start), |i| Some(start + i)))
            .collect()
    }
}

/// A layer's product.
pub(super) struct Work<'a, S, F> {
    pub(super) path: Path,
    pub(super) weights: &'a Packed,
    /// In order, without gaps.
    pub(super) bands: Vec<Band>,
    pub(super) shape: S,
    /// Fills a band's left operand.
    pub(super) fill: F,
    pub(super) finish: Finish<'a>,
}

impl<S, F> Work<'_, S, F>
where
    S: Fn(&Band) -> Shape + Sync,
    F: Fn(&Band, &mut [Line]) + Sync,
{
    /// The output: all bands' points, `width` values each.
    pub(super) fn run(&self) -> Vec<bf16> {
        let width = self.finish.width();
        let points: usize = self.bands.iter().map(|band| band.count).sum();
        let mut out = vec![bf16::ZERO; points * width];
        if out.is_empty() {
            return out;
        }
        let cost = points * self.weights.outputs * self.weights.inputs * self.weights.taps / 8;
        let threads = rayon::current_num_threads();
        let rows_per_band = points / self.bands.len().max(1);
        // What is read again and again comes from further away: all weights for each band, or all bands for each panel.
        let few = self.bands.len() < 2 * threads || rows_per_band < SIDE * self.weights.taps;
        if few && self.weights.panels() > 1 {
            self.by_panels(&mut out, width, cost, threads);
        } else {
            let mut rest = out.as_mut_slice();
            let mut pieces = Vec::new();
            for band in &self.bands {
                let (piece, others) = std::mem::take(&mut rest).split_at_mut(band.count * width);
                pieces.push((band, piece));
                rest = others;
            }
            each(pieces, cost, |(band, out)| {
                let shape = (self.shape)(band);
                with_lines(shape.step * self.weights.steps(), |lines| {
                    (self.fill)(band, lines);
                    let session = self.path.open();
                    for panel in 0..width.div_ceil(SIDE) {
                        self.panel(&session, panel, band, &shape, lines, (&mut *out, width, 0));
                    }
                });
            });
        }
        out
    }

    /// Few points and many outputs: all left operands first, then some panels at a time.
    fn by_panels(&self, out: &mut [bf16], width: usize, cost: usize, threads: usize) {
        let lefts = each(self.bands.clone(), cost, |band| {
            let shape = (self.shape)(&band);
            let mut lines = vec![Line::ZERO; shape.step * self.weights.steps()];
            (self.fill)(&band, &mut lines);
            (band, shape, lines)
        });
        let panels = width.div_ceil(SIDE);
        let some = panels.div_ceil(4 * threads).max(1);
        let points = out.len() / width;
        let starts: Vec<usize> = (0..panels).step_by(some).collect();
        let parts = each(starts, cost, |start| {
            let first = start * SIDE;
            let columns = (width - first).min(some * SIDE);
            let mut part = vec![bf16::ZERO; points * columns];
            let session = self.path.open();
            for panel in start..panels.min(start + some) {
                let mut rest = part.as_mut_slice();
                for (band, shape, lines) in &lefts {
                    let (piece, others) =
                        std::mem::take(&mut rest).split_at_mut(band.count * columns);
                    self.panel(&session, panel, band, shape, lines, (piece, columns, first));
                    rest = others;
                }
            }
            (first, columns, part)
        });
        for (first, columns, part) in parts {
            let lines = out.chunks_exact_mut(width).zip(part.chunks_exact(columns));
            lines.for_each(|(out, part)| out[first..][..columns].copy_from_slice(part));
        }
    }

    /// One panel of a band, into `out`, which has `columns` values a point from the layer's output `first` on.
    fn panel(
        &self,
        session: &Session,
        panel: usize,
        band: &Band,
        shape: &Shape,
        lines: &[Line],
        (out, columns, first): (&mut [bf16], usize, usize),
    ) {
        let weights = self.weights;
        let (mut block, mut gate) = (Block::ZERO, Block::ZERO);
        for pair in shape.tiles.chunks(2) {
            let second = pair.get(1);
            let left = Left {
                lines,
                starts: [pair[0].start, second.map_or(0, |tile| tile.start)],
                rows: [pair[0].rows, second.map_or(0, |tile| tile.rows)],
                taps: &shape.taps,
                step: shape.step,
                steps: weights.steps(),
            };
            session.product(&left, weights.panel(panel), &mut block);
            if self.finish.gated {
                let gates = weights.panel(weights.panels() / 2 + panel);
                session.product(&left, gates, &mut gate);
            }
            for (half, tile) in pair.iter().enumerate() {
                let start = half * TILE * SIDE;
                let target = Target {
                    out: &mut *out,
                    columns,
                    at: panel * SIDE - first,
                    output: panel * SIDE,
                    place: (band.row, band.first),
                };
                let gates = self.finish.gated.then(|| &gate.0[start..]);
                let points = &tile.points[..tile.rows];
                self.finish.tile(target, &block.0[start..], gates, points);
            }
        }
    }
}
