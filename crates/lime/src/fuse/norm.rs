//! Per-pixel norms of the enlarged stack.

use rayon::prelude::*;

use super::group::{Group, dot};

/// Products of a cell with itself and its neighbours, summed over a group's layers; 0 beyond the edge.
#[derive(Clone, Copy, Default)]
struct Neighbours {
    own: f64,
    right: f64,
    down: f64,
    /// With the cell below and to the right.
    falling: f64,
    /// Of the cell to the right with the cell below.
    rising: f64,
}

/// 1 / max(norm, 1e-12) of every pixel. The square of a mean of four cells is ten products of pairs of them, of which
/// every pair is one cell's neighbour products.
pub(super) fn inverse(groups: &[Group], side: usize) -> Vec<f32> {
    let mut squares = vec![0f64; side * side];
    for group in groups {
        let cells = group.neighbours();
        squares
            .par_chunks_mut(side.max(1))
            .enumerate()
            .for_each(|(y, out)| {
                let row = group.rows.taps()[y];
                let (top, bottom) = (1.0 - f64::from(row.share), f64::from(row.share));
                for (out, column) in out.iter_mut().zip(group.columns.taps()) {
                    let (left, right) = (1.0 - f64::from(column.share), f64::from(column.share));
                    let at = |y: usize, x: usize| cells[y * group.width + x];
                    let corner = at(row.low, column.low);
                    *out += (top * left).powi(2) * corner.own
                        + (top * right).powi(2) * at(row.low, column.high).own
                        + (bottom * left).powi(2) * at(row.high, column.low).own
                        + (bottom * right).powi(2) * at(row.high, column.high).own
                        + 2.0
                            * (top * top * left * right * corner.right
                                + bottom * bottom * left * right * at(row.high, column.low).right
                                + top * bottom * left * left * corner.down
                                + top * bottom * right * right * at(row.low, column.high).down
                                + top * bottom * left * right * (corner.falling + corner.rising));
                }
            });
    }
    squares
        .into_iter()
        .map(|square| (1.0 / square.max(0.0).sqrt().max(1e-12)) as f32)
        .collect()
}

impl Group {
    fn neighbours(&self) -> Vec<Neighbours> {
        let mut cells = vec![Neighbours::default(); self.height * self.width];
        cells
            .par_chunks_mut(self.width)
            .enumerate()
            .for_each(|(y, out)| {
                for layer in &self.layers {
                    let cell = |y: usize, x: usize| {
                        (y < self.height && x < self.width).then(|| {
                            &layer.data[(y * self.width + x) * layer.channels..][..layer.channels]
                        })
                    };
                    let product = |a: Option<&[f32]>, b: Option<&[f32]>| {
                        a.zip(b).map_or(0.0, |(a, b)| f64::from(dot(a, b)))
                    };
                    for (x, out) in out.iter_mut().enumerate() {
                        let (own, right, down) = (cell(y, x), cell(y, x + 1), cell(y + 1, x));
                        out.own += product(own, own);
                        out.right += product(own, right);
                        out.down += product(own, down);
                        out.falling += product(own, cell(y + 1, x + 1));
                        out.rising += product(right, down);
                    }
                }
            });
        cells
    }
}
