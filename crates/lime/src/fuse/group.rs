//! The layers of one size, enlarged to the grid without building what is enlarged.

use rayon::prelude::*;

use super::axis::Axis;
use crate::preset::Corners;

/// Cells handled as one piece of work.
const CELLS: usize = 128;

/// Features of one layer at its own size.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Rows of cells.
    pub height: usize,
    /// Cells in a row.
    pub width: usize,
    /// Values in a cell.
    pub channels: usize,
    /// `[height * width, channels]`, row-major.
    pub data: Vec<f32>,
}

/// Layers of one size share their maps.
pub(super) struct Group {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) rows: Axis,
    pub(super) columns: Axis,
    pub(super) layers: Vec<Layer>,
}

impl Group {
    /// Of one layer; others of its size may join.
    pub(super) fn of(layer: Layer, side: usize, corners: Corners) -> Self {
        Self {
            height: layer.height,
            width: layer.width,
            rows: Axis::new(layer.height, side, corners),
            columns: Axis::new(layer.width, side, corners),
            layers: vec![layer],
        }
    }

    /// The four cells around a grid pixel, with their weights.
    pub(super) fn cells_of(&self, y: usize, x: usize) -> [(usize, f32); 4] {
        let (row, column) = (self.rows.taps()[y], self.columns.taps()[x]);
        let at = |y: usize, x: usize, weight: f32| (y * self.width + x, weight);
        [
            at(
                row.low,
                column.low,
                (1.0 - row.share) * (1.0 - column.share),
            ),
            at(row.low, column.high, (1.0 - row.share) * column.share),
            at(row.high, column.low, row.share * (1.0 - column.share)),
            at(row.high, column.high, row.share * column.share),
        ]
    }

    /// Products of every cell with every centre, summed over the group's layers: `[cells, k]`. `offset` is where the group's
    /// channels start in a centre, and is moved past them.
    pub(super) fn project(&self, centres: &[Vec<f32>], offset: &mut usize) -> Vec<f32> {
        let k = centres.len();
        let mut map = vec![0.0; self.height * self.width * k];
        for layer in &self.layers {
            let parts: Vec<&[f32]> = centres
                .iter()
                .map(|centre| &centre[*offset..][..layer.channels])
                .collect();
            *offset += layer.channels;
            map.par_chunks_mut(CELLS * k)
                .enumerate()
                .for_each(|(piece, out)| {
                    for (cell, out) in out.chunks_exact_mut(k).enumerate() {
                        let features = &layer.data[(piece * CELLS + cell) * layer.channels..]
                            [..layer.channels];
                        for (out, part) in out.iter_mut().zip(&parts) {
                            *out += dot(features, part);
                        }
                    }
                });
        }
        map
    }

    /// Adds row `y` of the enlarged `map` (`[cells, k]`) to `out` (`[side, k]`).
    pub(super) fn add_row(&self, map: &[f32], y: usize, k: usize, out: &mut [f32]) {
        let row = self.rows.taps()[y];
        let line = |index: usize| &map[index * self.width * k..][..self.width * k];
        let blended: Vec<f32> = line(row.low)
            .iter()
            .zip(line(row.high))
            .map(|(low, high)| (1.0 - row.share) * low + row.share * high)
            .collect();
        for (out, tap) in out.chunks_exact_mut(k).zip(self.columns.taps()) {
            let (low, high) = (&blended[tap.low * k..][..k], &blended[tap.high * k..][..k]);
            for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
                *out += (1.0 - tap.share) * low + tap.share * high;
            }
        }
    }

    /// Adjoint of enlarging, applied to one-hot labels over the pixels' norms: `[cells, k]`.
    pub(super) fn adjoint(
        &self,
        labels: &[u8],
        inverse_norm: &[f32],
        side: usize,
        k: usize,
    ) -> Vec<f32> {
        let line = self.width * k;
        let mut rows = vec![0f32; side * line];
        rows.par_chunks_mut(line).enumerate().for_each(|(y, out)| {
            for (x, tap) in self.columns.taps().iter().enumerate() {
                let (label, weight) = (
                    usize::from(labels[y * side + x]),
                    inverse_norm[y * side + x],
                );
                out[tap.low * k + label] += (1.0 - tap.share) * weight;
                out[tap.high * k + label] += tap.share * weight;
            }
        });
        let reach = self.rows.reach();
        let mut cells = vec![0f32; self.height * line];
        cells
            .par_chunks_mut(line)
            .enumerate()
            .for_each(|(row, out)| {
                for &(y, weight) in &reach[row] {
                    for (out, value) in out.iter_mut().zip(&rows[y * line..][..line]) {
                        *out += weight * value;
                    }
                }
            });
        cells
    }
}

impl Layer {
    /// Sums of cells under `weights` (`[cells, k]`): `[k, channels]`.
    pub(super) fn weighted(&self, weights: &[f32], k: usize) -> Vec<f64> {
        let parts: Vec<Vec<f32>> = weights
            .par_chunks(CELLS * k)
            .enumerate()
            .map(|(piece, weights)| {
                let mut sums = vec![0f32; k * self.channels];
                for (cell, weights) in weights.chunks_exact(k).enumerate() {
                    let features =
                        &self.data[(piece * CELLS + cell) * self.channels..][..self.channels];
                    for (label, &weight) in weights
                        .iter()
                        .enumerate()
                        .filter(|(_, weight)| **weight != 0.0)
                    {
                        for (sum, value) in sums[label * self.channels..][..self.channels]
                            .iter_mut()
                            .zip(features)
                        {
                            *sum += weight * value;
                        }
                    }
                }
                sums
            })
            .collect();
        let mut total = vec![0f64; k * self.channels];
        for part in &parts {
            for (total, value) in total.iter_mut().zip(part) {
                *total += f64::from(*value);
            }
        }
        total
    }
}

/// Inner product in eight partial sums, so that it vectorises and its rounding never varies.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut parts = [0f32; 8];
    let (chunks, rest) = (a.chunks_exact(8), a.chunks_exact(8).remainder());
    for (a, b) in chunks.zip(b.chunks_exact(8)) {
        for (part, (a, b)) in parts.iter_mut().zip(a.iter().zip(b)) {
            *part += a * b;
        }
    }
    let tail: f32 = rest
        .iter()
        .zip(&b[b.len() - rest.len()..])
        .map(|(a, b)| a * b)
        .sum();
    parts.iter().sum::<f32>() + tail
}
