//! K-means on the fused features: k-means++ starts, Lloyd's rounds, the best of several by inertia. The same bytes from the
//! same seed, whatever the number of threads.

pub(crate) mod random;

use random::Random;

use limekiln_diffusion::pulse;

use crate::fuse::Fused;

/// Rounds end when inertia improves by less than this share.
const ENOUGH: f64 = 1e-6;

/// A clustering of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// One label per grid pixel, row-major.
    pub labels: Vec<u8>,
    /// Sum of squared distances to the centres.
    pub inertia: f64,
}

/// Every pixel with the centre that it is nearest to.
struct Assignment {
    labels: Vec<u8>,
    /// Squared distance of each pixel to its centre.
    distances: Vec<f32>,
}

/// The best of `starts` runs of at most `rounds` rounds. `k` is 1 to 64.
pub fn cluster(fused: &Fused, k: usize, seed: u64, starts: usize, rounds: usize) -> Clusters {
    let mut random = Random::new(seed);
    let mut best: Option<Clusters> = None;
    for _ in 0..starts.max(1) {
        let picks = plus_plus(fused, k, &mut random);
        let found = lloyd(fused, &picks, rounds);
        if best
            .as_ref()
            .is_none_or(|best| found.inertia < best.inertia)
        {
            best = Some(found);
        }
    }
    best.unwrap_or(Clusters {
        labels: Vec::new(),
        inertia: 0.0,
    })
}

/// k-means++: the first centre is any pixel, each next one is drawn with probability proportional to its squared distance
/// from the nearest so far.
///
/// The pixels race: each has an exponential time of its own, divided by its distance, and the first to arrive is drawn. A draw
/// along a running sum has the same odds, but there a small change of every pixel moves the one that is drawn, and a picture and
/// its twin in another color space are segmented unlike.
fn plus_plus(fused: &Fused, k: usize, random: &mut Random) -> Vec<usize> {
    let pixels = fused.side() * fused.side();
    let mut picks =
        vec![((random.uniform() * pixels as f64) as usize).min(pixels.saturating_sub(1))];
    let mut nearest = vec![f32::INFINITY; pixels];
    while picks.len() < k {
        let newest = picks[picks.len() - 1];
        let distances = assign(fused, &[fused.pixel(newest)]).distances;
        nearest
            .iter_mut()
            .zip(&distances)
            .for_each(|(nearest, distance)| *nearest = nearest.min(*distance));
        nearest[newest] = 0.0;
        let mut first = (pixels - 1, f64::INFINITY);
        for (pixel, distance) in nearest.iter().enumerate() {
            let time = -(1.0 - random.uniform()).ln() / f64::from(*distance);
            if time < first.1 {
                first = (pixel, time);
            }
        }
        // All pixels alike: any of them will do.
        picks.push(first.0);
    }
    picks
}

/// Lloyd's rounds from the pixels `picks` as centres.
fn lloyd(fused: &Fused, picks: &[usize], rounds: usize) -> Clusters {
    let k = picks.len();
    let mut centres: Vec<Vec<f32>> = picks.iter().map(|&index| fused.pixel(index)).collect();
    let mut last: Option<Clusters> = None;
    for _ in 0..rounds.max(1) {
        let mut assignment = assign(fused, &centres);
        let inertia = assignment
            .distances
            .iter()
            .map(|distance| f64::from(*distance))
            .sum();
        let moved = assignment.fill_empty(k);
        let settled = last.as_ref().is_some_and(|last| {
            last.labels == assignment.labels
                || (!moved && last.inertia - inertia < ENOUGH * last.inertia)
        });
        last = Some(Clusters {
            labels: assignment.labels,
            inertia,
        });
        if settled {
            break;
        }
        let labels = last.as_ref().map_or(&[][..], |last| &last.labels);
        move_centres(fused, labels, &mut centres);
    }
    last.unwrap_or(Clusters {
        labels: Vec::new(),
        inertia: 0.0,
    })
}

/// A centre is the mean of its pixels; one without pixels stays.
fn move_centres(fused: &Fused, labels: &[u8], centres: &mut [Vec<f32>]) {
    let mut counts = vec![0usize; centres.len()];
    labels
        .iter()
        .for_each(|&label| counts[usize::from(label)] += 1);
    let sums = fused.sums(labels, centres.len());
    for ((centre, sum), count) in centres
        .iter_mut()
        .zip(sums)
        .zip(counts)
        .filter(|(_, count)| *count > 0)
    {
        centre
            .iter_mut()
            .zip(sum)
            .for_each(|(centre, sum)| *centre = (sum / count as f64) as f32);
    }
}

/// Every pixel to its nearest centre, which is the longest part between two beats of the pulse: argmin of `|c|^2 - 2 x.c`, the lower label when equal.
fn assign(fused: &Fused, centres: &[Vec<f32>]) -> Assignment {
    pulse::beat();
    let side = fused.side();
    let squares: Vec<f32> = centres
        .iter()
        .map(|centre| {
            centre
                .iter()
                .map(|value| f64::from(*value).powi(2))
                .sum::<f64>() as f32
        })
        .collect();
    let rows = fused.products(centres, |y, products| {
        let nearest = products
            .chunks_exact(centres.len())
            .enumerate()
            .map(|(x, products)| {
                let mut best = (0u8, f32::INFINITY);
                for (label, (product, square)) in products.iter().zip(&squares).enumerate() {
                    let distance = square - 2.0 * product;
                    if distance < best.1 {
                        best = (label as u8, distance);
                    }
                }
                (best.0, (fused.squared_norm(y * side + x) + best.1).max(0.0))
            });
        nearest.unzip::<u8, f32, Vec<_>, Vec<_>>()
    });
    let mut assignment = Assignment {
        labels: Vec::with_capacity(side * side),
        distances: Vec::with_capacity(side * side),
    };
    for (labels, distances) in rows {
        assignment.labels.extend(labels);
        assignment.distances.extend(distances);
    }
    assignment
}

impl Assignment {
    /// Gives every empty cluster the pixel that lies farthest from its own centre, the first such. Says whether any moved.
    fn fill_empty(&mut self, k: usize) -> bool {
        let mut counts = vec![0usize; k];
        self.labels
            .iter()
            .for_each(|&label| counts[usize::from(label)] += 1);
        let mut moved = false;
        for empty in 0..k {
            if counts[empty] > 0 {
                continue;
            }
            let mut farthest: Option<usize> = None;
            for (index, distance) in self.distances.iter().enumerate() {
                let free = counts[usize::from(self.labels[index])] > 1;
                if free && *distance > farthest.map_or(1e-6, |best| self.distances[best]) {
                    farthest = Some(index);
                }
            }
            let Some(index) = farthest else { break };
            counts[usize::from(self.labels[index])] -= 1;
            counts[empty] = 1;
            self.labels[index] = empty as u8;
            self.distances[index] = 0.0;
            moved = true;
        }
        moved
    }
}

#[cfg(test)]
mod tests;
