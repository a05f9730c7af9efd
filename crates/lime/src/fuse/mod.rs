//! Feature maps of many sizes as one stack on a square grid, L2-normalised per pixel, that is never built.
//!
//! Enlarging is linear, `U(F) c = U(F c)`: products with centres need only small maps at each layer's own size, and sums
//! over grid pixels are the adjoint of `U` applied to weights, times the features at their own size. Only the norm is not
//! linear: it takes the products of neighbouring cells. For 512x512 pixels at Stable Diffusion's widths the stack would be
//! 2.9 GB; this holds the features themselves (46 MB) and a few maps. Exact up to rounding, and the same bits whatever the
//! number of threads: work is cut in fixed pieces and summed in their order.

mod axis;
mod norm;

use rayon::prelude::*;

pub use axis::{Axis, Tap, upsample};

use crate::preset::Corners;

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
struct Group {
    height: usize,
    width: usize,
    rows: Axis,
    columns: Axis,
    layers: Vec<Layer>,
}

/// The fused stack, `side * side` pixels of [`Fused::channels`] values each.
pub struct Fused {
    side: usize,
    groups: Vec<Group>,
    /// 1 / norm of each pixel; what torch's `normalize` divides by is at least 1e-12.
    inverse_norm: Vec<f32>,
}

/// Cells handled as one piece of work.
const CELLS: usize = 128;

impl Fused {
    /// Fuses `layers` on a grid of `side * side`. A vector of the stack is the layers' channels, grouped by size in the order
    /// in which the sizes first appear.
    pub fn new(layers: Vec<Layer>, side: usize, corners: Corners) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for layer in layers {
            match groups
                .iter_mut()
                .find(|group| (group.height, group.width) == (layer.height, layer.width))
            {
                Some(group) => group.layers.push(layer),
                None => groups.push(Group {
                    height: layer.height,
                    width: layer.width,
                    rows: Axis::new(layer.height, side, corners),
                    columns: Axis::new(layer.width, side, corners),
                    layers: vec![layer],
                }),
            }
        }
        let inverse_norm = norm::inverse(&groups, side);
        Self {
            side,
            groups,
            inverse_norm,
        }
    }

    /// Side of the grid.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Channels of the stack.
    pub fn channels(&self) -> usize {
        self.groups
            .iter()
            .flat_map(|group| &group.layers)
            .map(|layer| layer.channels)
            .sum()
    }

    /// The normalised vector of one pixel.
    pub fn pixel(&self, index: usize) -> Vec<f32> {
        let mut vector = Vec::with_capacity(self.channels());
        for group in &self.groups {
            let cells = group.cells_of(index / self.side, index % self.side);
            for layer in &group.layers {
                vector.extend((0..layer.channels).map(|channel| {
                    let value: f32 = cells
                        .iter()
                        .map(|&(cell, weight)| weight * layer.data[cell * layer.channels + channel])
                        .sum();
                    value * self.inverse_norm[index]
                }));
            }
        }
        vector
    }

    /// Squared norm of a normalised pixel: 1, or less where all features vanish.
    pub fn squared_norm(&self, index: usize) -> f32 {
        if self.inverse_norm[index] < 1e12 {
            1.0
        } else {
            0.0
        }
    }

    /// Products of every pixel with every centre, row of the grid by row: calls `each(row, products)`, where `products` is
    /// `[side, centres]`, and returns what it returned, in order of the rows.
    pub fn products<R: Send>(
        &self,
        centres: &[Vec<f32>],
        each: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Vec<R> {
        let k = centres.len();
        let mut offset = 0;
        let maps: Vec<Vec<f32>> = self
            .groups
            .iter()
            .map(|group| group.project(centres, &mut offset))
            .collect();
        (0..self.side)
            .into_par_iter()
            .map(|y| {
                let mut products = vec![0.0; self.side * k];
                for (group, map) in self.groups.iter().zip(&maps) {
                    group.add_row(map, y, k, &mut products);
                }
                for (pixel, products) in products.chunks_exact_mut(k).enumerate() {
                    let inverse = self.inverse_norm[y * self.side + pixel];
                    products.iter_mut().for_each(|product| *product *= inverse);
                }
                each(y, &products)
            })
            .collect()
    }

    /// Sums of the normalised pixels of each label, `[k][channels]`.
    pub fn sums(&self, labels: &[u8], k: usize) -> Vec<Vec<f64>> {
        let mut sums = vec![Vec::with_capacity(self.channels()); k];
        for group in &self.groups {
            let weights = group.adjoint(labels, &self.inverse_norm, self.side, k);
            for layer in &group.layers {
                for (sum, part) in sums.iter_mut().zip(
                    layer
                        .weighted(&weights, k)
                        .chunks_exact(layer.channels.max(1)),
                ) {
                    sum.extend_from_slice(part);
                }
            }
        }
        sums
    }
}

impl Group {
    /// The four cells around a grid pixel, with their weights.
    fn cells_of(&self, y: usize, x: usize) -> [(usize, f32); 4] {
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
    fn project(&self, centres: &[Vec<f32>], offset: &mut usize) -> Vec<f32> {
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
    fn add_row(&self, map: &[f32], y: usize, k: usize, out: &mut [f32]) {
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
    fn adjoint(&self, labels: &[u8], inverse_norm: &[f32], side: usize, k: usize) -> Vec<f32> {
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
    fn weighted(&self, weights: &[f32], k: usize) -> Vec<f64> {
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

/// Inner product in eight fixed lanes, so that it vectorises and its rounding never varies.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (chunks, rest) = (a.chunks_exact(8), a.chunks_exact(8).remainder());
    for (a, b) in chunks.zip(b.chunks_exact(8)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    let tail: f32 = rest
        .iter()
        .zip(&b[b.len() - rest.len()..])
        .map(|(a, b)| a * b)
        .sum();
    lanes.iter().sum::<f32>() + tail
}

#[cfg(test)]
pub(crate) mod tests;
