//! Parts of a picture that no edge divides (Felzenszwalb and Huttenlocher, 2004), and what a region says of each as a whole.
//!
//! A region's border is rough and an edge is not: a wall that reaches a little into a region is outside of it up to the edge
//! where the object begins, shadows on the wall included, since a soft shadow is no edge.

use crate::plane::Plane;

/// The step that a part of one cell may take to grow; of a larger one, divided by its cells.
const LOOSE: f32 = 0.6;
/// The largest step that noise makes: below it nothing is an edge.
const NOISE: f32 = 0.012;
/// Lightness weighs less than tint, of which shadows have none.
const TINT: f32 = 2.0;
/// Log odds to which a part is drawn that lies wholly on one side.
const PULL: f32 = 3.5;

/// The part of each cell, numbered from 0.
pub(super) struct Segments {
    of: Vec<u32>,
    count: usize,
}

impl Segments {
    /// Of colors in OKLab without grain.
    pub(super) fn new(colors: &Plane<[f32; 3]>) -> Self {
        let (width, count) = (colors.width, colors.data.len());
        let apart = |i: usize, j: usize| {
            let (a, b) = (colors.data[i], colors.data[j]);
            let tint = (a[1] - b[1]).hypot(a[2] - b[2]);
            (a[0] - b[0]).hypot(TINT * tint)
        };
        let mut steps = Vec::with_capacity(2 * count);
        for i in 0..count {
            if (i + 1) % width != 0 {
                steps.push((apart(i, i + 1), i as u32, i as u32 + 1));
            }
            if i + width < count {
                steps.push((apart(i, i + width), i as u32, (i + width) as u32));
            }
        }
        steps.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut forest = Forest::new(count);
        for (step, a, b) in steps {
            let (a, b) = (forest.root(a), forest.root(b));
            if a != b && step <= forest.limit(a).min(forest.limit(b)) {
                forest.join(a, b, step);
            }
        }
        let mut numbers = vec![u32::MAX; count];
        let mut parts = 0;
        let of = (0..count as u32)
            .map(|cell| {
                let number = &mut numbers[forest.root(cell) as usize];
                if *number == u32::MAX {
                    *number = parts;
                    parts += 1;
                }
                *number
            })
            .collect();
        Self {
            of,
            count: parts as usize,
        }
    }

    /// What the parts make of how likely each cell is inside: a part that mostly lies on one side is drawn to it whole.
    pub(super) fn drawn(&self, prior: &[f32]) -> Vec<f32> {
        let mut sums = vec![(0.0_f64, 0.0_f64); self.count];
        for (part, prior) in self.of.iter().zip(prior) {
            let sum = &mut sums[*part as usize];
            sum.0 += f64::from(*prior);
            sum.1 += 1.0;
        }
        let region: f64 = prior.iter().map(|prior| f64::from(*prior)).sum();
        let pulls: Vec<(f32, f32)> = sums
            .iter()
            .map(|(inside, cells)| {
                let side = (2.0 * inside / cells - 1.0) as f32;
                // A part that holds much of the region and yet lies mostly outside is object and surroundings in one.
                let whole = if side < 0.0 {
                    (1.0 - inside / region.max(1e-9)) as f32
                } else {
                    1.0
                };
                let weight = side.abs() * whole.powi(2);
                (weight, PULL * side)
            })
            .collect();
        prior
            .iter()
            .zip(&self.of)
            .map(|(prior, part)| {
                let (weight, pull) = pulls[*part as usize];
                let odds = (prior / (1.0 - prior)).ln();
                let drawn = (1.0 - weight) * odds + weight * pull;
                (1.0 / (1.0 + (-drawn).exp())).clamp(0.01, 0.97)
            })
            .collect()
    }
}

/// Trees of cells, with the largest step and the number of cells of each.
struct Forest {
    up: Vec<u32>,
    largest: Vec<f32>,
    cells: Vec<u32>,
}

impl Forest {
    fn new(count: usize) -> Self {
        Self {
            up: (0..count as u32).collect(),
            largest: vec![NOISE; count],
            cells: vec![1; count],
        }
    }

    fn root(&mut self, mut cell: u32) -> u32 {
        while self.up[cell as usize] != cell {
            let next = self.up[cell as usize];
            self.up[cell as usize] = self.up[next as usize];
            cell = next;
        }
        cell
    }

    /// The largest step over which a tree grows.
    fn limit(&self, root: u32) -> f32 {
        self.largest[root as usize] + LOOSE / self.cells[root as usize] as f32
    }

    fn join(&mut self, a: u32, b: u32, step: f32) {
        let (large, small) = if self.cells[a as usize] >= self.cells[b as usize] {
            (a, b)
        } else {
            (b, a)
        };
        self.up[small as usize] = large;
        self.cells[large as usize] += self.cells[small as usize];
        self.largest[large as usize] = self.largest[large as usize].max(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_ends_at_the_object_and_not_at_the_region() {
        // A wall whose shadow beside the object is soft; the object is a little darker, behind an edge.
        let colors = Plane::from_fn(120, 20, |x, _| match x {
            0..30 => [0.5, -0.08, -0.02],
            30..42 => [0.6 + 0.01 * (x - 30) as f32, -0.04, -0.01],
            _ => [0.72, -0.04, -0.01],
        });
        let prior: Vec<f32> = (0..2400)
            .map(|i| if i % 120 < 38 { 0.8 } else { 0.02 })
            .collect();
        let drawn = Segments::new(&colors).drawn(&prior);
        let at = |values: &[f32], x: usize| values[10 * 120 + x];
        assert!(at(&drawn, 5) > 0.8 && at(&drawn, 29) > 0.8);
        assert!(at(&drawn, 33) < 0.5 && at(&drawn, 100) < 0.1);
        // What no edge divides is left to the region.
        let left = Segments::new(&Plane::filled(120, 20, [0.5, 0.0, 0.0])).drawn(&prior);
        assert!(at(&left, 5) > 0.7 && at(&left, 100) < 0.1);
    }
}
