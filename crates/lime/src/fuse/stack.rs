//! The stack as the clustering sees it.

use rayon::prelude::*;

use super::{
    group::{Group, Layer},
    norm,
};
use crate::preset::Corners;

/// The fused stack, `side * side` pixels of [`Fused::channels`] values each.
pub struct Fused {
    side: usize,
    groups: Vec<Group>,
    /// 1 / norm of each pixel; what torch's `normalize` divides by is at least 1e-12.
    inverse_norm: Vec<f32>,
}

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
                None => groups.push(Group::of(layer, side, corners)),
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
