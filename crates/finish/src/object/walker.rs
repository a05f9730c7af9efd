//! What a cell is, from its own evidence and its neighbours': random walks with priors (Grady, 2005), that is the smoothest
//! plane that stays near the evidence, where smoothness costs nothing across an edge.

use rayon::prelude::*;

use crate::plane::Plane;

/// A step of lightness, and of `a` or `b`, that is half an edge.
const LIGHTNESS: f32 = 0.05;
const TINT: f32 = 0.02;
/// What even the sharpest edge lets through.
const LEAST: f32 = 1e-3;
/// Iterations of the solver; it starts near its end and ends early.
const ITERATIONS: usize = 150;

/// Weights between a cell and the next in its row and in its column.
pub(super) struct Walls {
    right: Vec<f32>,
    down: Vec<f32>,
    width: usize,
}

impl Walls {
    /// Between colors in OKLab.
    pub(super) fn new(colors: &Plane<[f32; 3]>) -> Self {
        let (width, count) = (colors.width, colors.data.len());
        let weight = |a: [f32; 3], b: [f32; 3]| {
            let apart = ((a[0] - b[0]) / LIGHTNESS).powi(2)
                + ((a[1] - b[1]) / TINT).powi(2)
                + ((a[2] - b[2]) / TINT).powi(2);
            (-0.5 * apart).exp() + LEAST
        };
        let data = &colors.data;
        let right = (0..count).map(|i| {
            if (i + 1) % width == 0 {
                0.0
            } else {
                weight(data[i], data[i + 1])
            }
        });
        let down = (0..count).map(|i| {
            if i + width >= count {
                0.0
            } else {
                weight(data[i], data[i + width])
            }
        });
        Self {
            right: right.collect(),
            down: down.collect(),
            width,
        }
    }

    /// Neighbours and the weights to them.
    fn sides(&self, i: usize) -> [(usize, f32); 4] {
        let left = if i.is_multiple_of(self.width) {
            (i, 0.0)
        } else {
            (i - 1, self.right[i - 1])
        };
        let up = if i < self.width {
            (i, 0.0)
        } else {
            (i - self.width, self.down[i - self.width])
        };
        let right = if self.right[i] > 0.0 {
            (i + 1, self.right[i])
        } else {
            (i, 0.0)
        };
        let down = if self.down[i] > 0.0 {
            (i + self.width, self.down[i])
        } else {
            (i, 0.0)
        };
        [left, right, up, down]
    }

    /// The plane `x` that minimizes `sum trust (x - evidence)^2 + sum weight (x - neighbour)^2`, by conjugate gradients with
    /// the diagonal as preconditioner, from `start`.
    pub(super) fn settle(&self, evidence: &[f32], trust: &[f32], start: Vec<f32>) -> Vec<f32> {
        let count = evidence.len();
        let diagonal: Vec<f32> = (0..count)
            .into_par_iter()
            .map(|i| trust[i] + self.sides(i).iter().map(|(_, weight)| weight).sum::<f32>())
            .collect();
        let applied = |x: &[f32], out: &mut Vec<f32>| {
            (0..count)
                .into_par_iter()
                .with_min_len(4096)
                .map(|i| {
                    diagonal[i] * x[i]
                        - self
                            .sides(i)
                            .iter()
                            .map(|(j, weight)| weight * x[*j])
                            .sum::<f32>()
                })
                .collect_into_vec(out);
        };
        // Summed in f64 and in order: the same for any number of threads.
        let product = |a: &[f32], b: &[f32]| {
            a.iter()
                .zip(b)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum::<f64>()
        };
        let mut x = start;
        let mut step = Vec::with_capacity(count);
        applied(&x, &mut step);
        let mut rest: Vec<f32> = (0..count)
            .map(|i| trust[i] * evidence[i] - step[i])
            .collect();
        let eased =
            |rest: &[f32]| -> Vec<f32> { rest.iter().zip(&diagonal).map(|(r, d)| r / d).collect() };
        let mut easy = eased(&rest);
        let mut direction = easy.clone();
        let mut size = product(&rest, &easy);
        let enough = size * 1e-6 + 1e-12;
        for _ in 0..ITERATIONS {
            if size <= enough {
                break;
            }
            applied(&direction, &mut step);
            let along = (size / product(&direction, &step).max(1e-30)) as f32;
            for i in 0..count {
                x[i] += along * direction[i];
                rest[i] -= along * step[i];
            }
            easy = eased(&rest);
            let next = product(&rest, &easy);
            let turn = (next / size) as f32;
            size = next;
            direction
                .iter_mut()
                .zip(&easy)
                .for_each(|(direction, easy)| *direction = easy + turn * *direction);
        }
        x.iter_mut()
            .for_each(|value| *value = value.clamp(0.0, 1.0));
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_spreads_up_to_an_edge() {
        let colors = Plane::from_fn(40, 20, |x, _| [if x < 25 { 0.3 } else { 0.8 }, 0.0, 0.0]);
        let known = |i: usize| matches!(i % 40, 0 | 39);
        let evidence: Vec<f32> = (0..800)
            .map(|i| if i % 40 == 0 { 1.0 } else { 0.0 })
            .collect();
        let trust: Vec<f32> = (0..800)
            .map(|i| if known(i) { 1.0 } else { 1e-4 })
            .collect();
        let x = Walls::new(&colors).settle(&evidence, &trust, evidence.clone());
        assert!(
            x[10 * 40 + 23] > 0.7 && x[10 * 40 + 27] < 0.3,
            "{} {}",
            x[10 * 40 + 23],
            x[10 * 40 + 27]
        );
    }
}
