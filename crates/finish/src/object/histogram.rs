//! How common colors are, in coordinates in which light matters little.
//!
//! OKLab is homogeneous: a surface under half the light has half its `a` and `b` at half its lightness (after the cube
//! root). So `a / L` and `b / L` stay the same from a surface's shadow to its lit side, and a highlight moves them towards
//! zero. A constant is added below so that the noise of dark pixels does not blow them up.

use crate::plane::{Plane, blur};

/// Added to lightness before it divides.
const DARK: f32 = 0.12;
/// Largest `a / L` that is told apart.
const REACH: f32 = 0.36;
/// Bins of lightness.
pub(super) const LIGHTS: usize = 16;
/// Bins of each tint.
pub(super) const TINTS: usize = 40;

/// OKLab's `a` and `b` over lightness.
pub(super) fn tint(color: [f32; 3]) -> [f32; 2] {
    [color[1] / (color[0] + DARK), color[2] / (color[0] + DARK)]
}

/// The bin of a lightness.
pub(super) fn light_bin(lightness: f32, bins: usize) -> usize {
    ((lightness * bins as f32).max(0.0) as usize).min(bins - 1)
}

/// The bin of a tint in a square of `TINTS * TINTS`.
pub(super) fn tint_bin(color: [f32; 3]) -> usize {
    let [u, v] = tint(color).map(|tint| {
        (((tint + REACH) / (2.0 * REACH) * TINTS as f32).max(0.0) as usize).min(TINTS - 1)
    });
    v * TINTS + u
}

/// The tint in the middle of a bin.
pub(super) fn tint_of(bin: usize) -> [f32; 2] {
    [bin % TINTS, bin / TINTS].map(|i| (i as f32 + 0.5) / TINTS as f32 * 2.0 * REACH - REACH)
}

/// Shares of colors, which add up to one.
pub(super) struct Histogram {
    bins: Vec<f32>,
}

impl Histogram {
    /// Counts cells by weight; blurred by less than a bin, so that neighbours of a common color are not rare.
    pub(super) fn new(bins: &[u32], weight: impl Fn(usize) -> f32) -> Self {
        const SIGMA: f32 = 0.7;
        let mut counts = vec![0.0_f32; LIGHTS * TINTS * TINTS];
        let mut total = 0.0_f64;
        for (i, bin) in bins.iter().enumerate() {
            let weight = weight(i);
            counts[*bin as usize] += weight;
            total += f64::from(weight);
        }
        let total = total as f32;
        // Tints first, lightness by lightness; then lightness, tint by tint.
        let mut out = Vec::with_capacity(counts.len());
        for layer in counts.chunks(TINTS * TINTS) {
            if layer.iter().all(|count| *count == 0.0) {
                out.extend_from_slice(layer);
                continue;
            }
            let plane = Plane {
                width: TINTS,
                height: TINTS,
                data: layer.to_vec(),
            };
            out.extend(blur(&plane, SIGMA).data);
        }
        let kernel = [0, 1, 2].map(|i| (-0.5 * (i as f32 / SIGMA).powi(2)).exp());
        let sum = kernel[0] + 2.0 * (kernel[1] + kernel[2]);
        let size = TINTS * TINTS;
        let mut bins = vec![0.0; out.len()];
        for l in 0..LIGHTS {
            for (offset, weight) in [
                (0_isize, kernel[0]),
                (1, kernel[1]),
                (-1, kernel[1]),
                (2, kernel[2]),
                (-2, kernel[2]),
            ] {
                let from = (l as isize + offset).clamp(0, LIGHTS as isize - 1) as usize;
                let weight = weight / sum / total.max(1e-9);
                for (bin, value) in bins[l * size..][..size]
                    .iter_mut()
                    .zip(&out[from * size..][..size])
                {
                    *bin += weight * value;
                }
            }
        }
        Self { bins }
    }

    /// The share of a bin.
    pub(super) fn share(&self, bin: u32) -> f32 {
        self.bins[bin as usize]
    }

    /// Bhattacharyya's coefficient: 0 where no color is in both, 1 where they are the same.
    pub(super) fn alike(&self, other: &Self) -> f32 {
        self.bins
            .iter()
            .zip(&other.bins)
            .map(|(a, b)| (a * b).sqrt())
            .sum()
    }
}

/// The bin of each color.
pub(super) fn bins(colors: &Plane<[f32; 3]>) -> Vec<u32> {
    colors
        .data
        .iter()
        .map(|color| (light_bin(color[0], LIGHTS) * TINTS * TINTS + tint_bin(*color)) as u32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::Color;

    #[test]
    fn a_surface_keeps_its_tint_in_the_shade() {
        let lit = Color::from_linear([0.6, 0.2, 0.1]).oklab();
        let shade = Color::from_linear([0.15, 0.05, 0.025]).oklab();
        let ratio = |c: palette::Oklab| (c.a / c.l, c.b / c.l);
        assert!(
            (ratio(lit).0 - ratio(shade).0).abs() < 1e-3
                && (ratio(lit).1 - ratio(shade).1).abs() < 1e-3
        );
    }

    #[test]
    fn shares_add_up() {
        let colors = Plane::from_fn(30, 30, |x, y| {
            [0.3 + 0.01 * x as f32, 0.1, 0.002 * y as f32]
        });
        let bins = bins(&colors);
        let all = Histogram::new(&bins, |_| 2.0);
        assert!(
            (all.bins.iter().sum::<f32>() - 1.0).abs() < 1e-3
                && (all.alike(&all) - 1.0).abs() < 1e-3
        );
        let left = Histogram::new(&bins, |i| if i % 30 < 15 { 1.0 } else { 0.0 });
        assert!(left.alike(&all) < 0.95);
    }
}
