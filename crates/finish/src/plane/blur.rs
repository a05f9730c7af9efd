//! Gaussian blur, and one that keeps edges.

use rayon::prelude::*;

use super::cells::Plane;

/// A Gaussian of `sigma` cells; beyond the border the last value goes on.
pub(crate) fn blur(plane: &Plane<f32>, sigma: f32) -> Plane<f32> {
    let radius = (3.0 * sigma).ceil() as usize;
    let mut kernel: Vec<f32> = (0..=radius)
        .map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp())
        .collect();
    let total = kernel[0] + 2.0 * kernel[1..].iter().sum::<f32>();
    kernel.iter_mut().for_each(|weight| *weight /= total);
    let (width, height) = (plane.width, plane.height);
    let mut wide = vec![0.0; plane.data.len()];
    wide.par_chunks_mut(width)
        .zip(plane.data.par_chunks(width))
        .for_each(|(out, row)| {
            for (x, out) in out.iter_mut().enumerate() {
                let mut sum = kernel[0] * row[x];
                for (i, weight) in kernel.iter().enumerate().skip(1) {
                    sum += weight * (row[x.saturating_sub(i)] + row[(x + i).min(width - 1)]);
                }
                *out = sum;
            }
        });
    let mut data = vec![0.0; plane.data.len()];
    data.par_chunks_mut(width).enumerate().for_each(|(y, out)| {
        out.copy_from_slice(&wide[y * width..][..width]);
        out.iter_mut().for_each(|value| *value *= kernel[0]);
        for (i, weight) in kernel.iter().enumerate().skip(1) {
            let above = &wide[y.saturating_sub(i) * width..][..width];
            let below = &wide[(y + i).min(height - 1) * width..][..width];
            for ((out, above), below) in out.iter_mut().zip(above).zip(below) {
                *out += weight * (above + below);
            }
        }
    });
    Plane {
        width,
        height,
        data,
    }
}

/// A bilateral blur of 7x7 cells: grain and weave go, edges stay. Cells that differ by one in units of `scale` weigh 0.6.
pub(crate) fn edge_kept(plane: &Plane<[f32; 3]>, scale: [f32; 3]) -> Plane<[f32; 3]> {
    const RADIUS: isize = 3;
    let (width, height) = (plane.width as isize, plane.height as isize);
    let inverse = scale.map(|scale| 1.0 / scale);
    let near: Vec<(isize, isize, f32)> = (-RADIUS..=RADIUS)
        .flat_map(|dy| (-RADIUS..=RADIUS).map(move |dx| (dx, dy, (dx * dx + dy * dy) as f32 / 8.0)))
        .collect();
    let mut data = vec![[0.0; 3]; plane.data.len()];
    data.par_chunks_mut(plane.width)
        .enumerate()
        .for_each(|(y, out)| {
            for (x, out) in out.iter_mut().enumerate() {
                let own = plane.at(x, y);
                let (mut sum, mut weights) = ([0.0; 3], 0.0);
                for (dx, dy, far) in &near {
                    let (u, v) = (
                        (x as isize + dx).clamp(0, width - 1),
                        (y as isize + dy).clamp(0, height - 1),
                    );
                    let other = plane.at(u as usize, v as usize);
                    let apart: f32 = (0..3)
                        .map(|c| ((other[c] - own[c]) * inverse[c]).powi(2))
                        .sum();
                    if apart > 20.0 {
                        continue;
                    }
                    let weight = (-0.5 * apart - far).exp();
                    weights += weight;
                    (0..3).for_each(|c| sum[c] += weight * other[c]);
                }
                *out = sum.map(|value| value / weights);
            }
        });
    Plane {
        width: plane.width,
        height: plane.height,
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_and_a_point_spreads() {
        let flat = Plane::filled(9, 5, 0.7);
        assert!(blur(&flat, 2.0).data.iter().all(|v| (v - 0.7).abs() < 1e-5));
        let mut point = Plane::filled(21, 21, 0.0);
        point.data[10 * 21 + 10] = 1.0;
        let spread = blur(&point, 1.5);
        assert!((spread.sum() - 1.0).abs() < 1e-3 && spread.at(10, 10) > spread.at(12, 10));
        assert!((spread.at(12, 10) - spread.at(10, 12)).abs() < 1e-6);
        assert_eq!(blur(&Plane::filled(1, 1, 0.5), 3.0).data.len(), 1);
    }

    #[test]
    fn edges_stay() {
        let step = Plane::from_fn(20, 8, |x, y| {
            let grain = if (x + y) % 2 == 0 { 0.01 } else { -0.01 };
            [if x < 10 { 0.3 } else { 0.7 } + grain, 0.0, 0.0]
        });
        let kept = edge_kept(&step, [0.06, 0.025, 0.025]);
        assert!((kept.at(9, 4)[0] - 0.3).abs() < 0.005 && (kept.at(10, 4)[0] - 0.7).abs() < 0.005);
    }
}
