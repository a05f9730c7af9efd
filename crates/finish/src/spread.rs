//! How much the colors on both sides of an edge vary, and what share of one side that makes of a pixel.
//!
//! Light varies on most surfaces, grain on many. Along that direction of color a pixel's place between both sides says
//! little, so that it is measured in units of the variation: Fisher's linear discriminant, place by place.

use crate::light::dot;
use crate::plane::{Plane, blur};

/// Reach at which variation is taken, in cells.
const REACH: f32 = 6.0;
/// The least variation that is reckoned with: noise, and what cells have averaged away.
const LEAST: f32 = 0.02;

/// A symmetric matrix: xx, yy, zz, xy, xz, yz.
type Symmetric = [f32; 6];

/// Covariance of colors around each cell, of both sides together.
pub(crate) struct Spread {
    cells: Plane<Symmetric>,
}

impl Spread {
    /// Of colors around the mean of their side, over the side's sure cells.
    pub(crate) fn of(
        colors: &Plane<[f32; 3]>,
        sides: [(&Plane<[f32; 3]>, &Plane<bool>); 2],
    ) -> Self {
        let mut total = vec![[0.0; 6]; colors.data.len()];
        for (means, flags) in sides {
            let weight = blur(&flags.map(|flag| if flag { 1.0 } else { 0.0 }), REACH);
            let products: Vec<Symmetric> = (0..total.len())
                .map(|i| {
                    if !flags.data[i] {
                        return [0.0; 6];
                    }
                    let [x, y, z] = [0, 1, 2].map(|c| colors.data[i][c] - means.data[i][c]);
                    [x * x, y * y, z * z, x * y, x * z, y * z]
                })
                .collect();
            for k in 0..6 {
                let plane = Plane {
                    width: colors.width,
                    height: colors.height,
                    data: products.iter().map(|p| p[k]).collect(),
                };
                for ((total, sum), weight) in total
                    .iter_mut()
                    .zip(blur(&plane, REACH).data)
                    .zip(&weight.data)
                {
                    total[k] += sum / weight.max(0.01);
                }
            }
        }
        for total in &mut total {
            total[..3]
                .iter_mut()
                .for_each(|variance| *variance += LEAST * LEAST);
        }
        Self {
            cells: Plane {
                width: colors.width,
                height: colors.height,
                data: total,
            },
        }
    }

    /// The share of the first color in a pixel between two. `cells` are those around it, and `soft` says of each how much it
    /// is the first side's, for where the colors do not tell.
    pub(crate) fn share(
        &self,
        pixel: [f32; 3],
        (own, other): ([f32; 3], [f32; 3]),
        cells: [(usize, f32); 4],
        soft: &Plane<f32>,
    ) -> f32 {
        let apart = [0, 1, 2].map(|c| own[c] - other[c]);
        let nearest = cells
            .iter()
            .fold(
                cells[0],
                |best, cell| if cell.1 > best.1 { *cell } else { best },
            )
            .0;
        let along = solved(self.cells.data[nearest], apart);
        let square = dot(along, apart).max(1e-6);
        let place = (0..3)
            .map(|c| (pixel[c] - other[c]) * along[c])
            .sum::<f32>()
            / square;
        // Standard deviations between both sides.
        let told = square.sqrt();
        let dead = (0.5 / told).clamp(0.05, 0.3);
        let share = ((place - dead) / (1.0 - 2.0 * dead)).clamp(0.0, 1.0);
        let trust = ((told - 1.5) / 3.0).clamp(0.0, 1.0);
        let soft: f32 = cells
            .iter()
            .map(|(cell, weight)| soft.data[*cell] * weight)
            .sum();
        trust * share + (1.0 - trust) * ((soft - 0.25) / 0.5).clamp(0.0, 1.0)
    }
}

/// `x` of `matrix x = vector`, the matrix being positive.
fn solved([xx, yy, zz, xy, xz, yz]: Symmetric, vector: [f32; 3]) -> [f32; 3] {
    let first = [yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy];
    let second = [first[1], xx * zz - xz * xz, xy * xz - xx * yz];
    let third = [first[2], second[2], xx * yy - xy * xy];
    let determinant = (xx * first[0] + xy * first[1] + xz * first[2]).max(1e-20);
    [first, second, third].map(|row| dot(row, vector) / determinant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_solved() {
        let x = solved([2.0, 3.0, 4.0, 0.5, -0.3, 0.7], [1.0, 2.0, 3.0]);
        let back = [
            2.0 * x[0] + 0.5 * x[1] - 0.3 * x[2],
            0.5 * x[0] + 3.0 * x[1] + 0.7 * x[2],
            -0.3 * x[0] + 0.7 * x[1] + 4.0 * x[2],
        ];
        assert!(
            (0..3).all(|c| (back[c] - (c + 1) as f32).abs() < 1e-4),
            "{back:?}"
        );
    }

    #[test]
    fn light_that_varies_says_nothing() {
        // Two sides of one brightness and another tint; the second is streaked with light and dark.
        let (red, green) = ([0.6, 0.3, 0.2], [0.35, 0.45, 0.2]);
        let streak = |x: usize| if x.is_multiple_of(2) { 1.3 } else { 0.7 };
        let colors = Plane::from_fn(40, 20, |x, _| {
            if x < 20 {
                red
            } else {
                green.map(|v| v * streak(x))
            }
        });
        let (left, right) = (
            Plane::from_fn(40, 20, |x, _| x < 20),
            Plane::from_fn(40, 20, |x, _| x >= 20),
        );
        let (reds, greens) = (Plane::filled(40, 20, red), Plane::filled(40, 20, green));
        let spread = Spread::of(&colors, [(&reds, &left), (&greens, &right)]);
        let soft = Plane::filled(40, 20, 0.5);
        let share = |pixel| spread.share(pixel, (red, green), soft.around(20.0, 10.0), &soft);
        assert!(share(red) > 0.95 && share(green) < 0.05);
        assert!(share(green.map(|v| v * 0.7)) < 0.15 && share(green.map(|v| v * 1.3)) < 0.15);
        let half = [0, 1, 2].map(|c| 0.5 * (red[c] + green[c]));
        assert!((share(half) - 0.5).abs() < 0.1);
    }
}
