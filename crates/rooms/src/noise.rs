//! Noise that is a function of place: the same at every size, on every thread.

/// Uniform in `[0, 1)` for a point of the integer grid.
pub(crate) fn grid(seed: u32, x: i32, y: i32) -> f32 {
    let mut h = seed
        ^ (x as u32).wrapping_mul(0x9e37_79b1)
        ^ (y as u32).wrapping_mul(0x85eb_ca77).rotate_left(13);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h >> 8) as f32 / (1u32 << 24) as f32
}

/// Of mean 0 and variance 1, nearly normal: the sum of four uniform values.
pub(crate) fn normal(seed: u32, x: i32, y: i32) -> f32 {
    let sum: f32 = (0..4)
        .map(|i| grid(seed.wrapping_add(0x632b_e5ab_u32.wrapping_mul(i + 1)), x, y))
        .sum();
    (sum - 2.0) * 3.0f32.sqrt()
}

/// Smooth, in `[-1, 1]`, its features one unit wide.
pub(crate) fn smooth(seed: u32, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (ease(x - left), ease(y - top));
    let at = |dx: i32, dy: i32| grid(seed, left as i32 + dx, top as i32 + dy);
    let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * u;
    let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * u;
    2.0 * (upper + (lower - upper) * v) - 1.0
}

/// Three octaves of [`smooth`], in about `[-1, 1]`.
pub(crate) fn cloud(seed: u32, x: f32, y: f32) -> f32 {
    let octave = |i: u32| {
        let scale = (1 << i) as f32;
        smooth(seed.wrapping_add(i), x * scale + 17.3 * scale, y * scale) / scale
    };
    (octave(0) + octave(1) + octave(2)) / 1.5
}

/// How much of a wave of this length, in pixels, a picture can show: nothing below 2, all from 4 up.
pub(crate) fn visible(length_px: f32) -> f32 {
    crate::linear::smooth(2.0, 4.0, length_px)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_noise_has_mean_0_and_variance_1() {
        let values: Vec<f32> = (0..200 * 200)
            .map(|i| normal(7, i % 200, i / 200))
            .collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03,
            "{mean} {variance}"
        );
    }

    #[test]
    fn neighbours_on_the_grid_are_unrelated() {
        let pairs = (0..10_000).map(|i| (grid(3, i, 5) - 0.5) * (grid(3, i + 1, 5) - 0.5));
        let covariance = pairs.sum::<f32>() / 10_000.0;
        assert!(covariance.abs() < 0.003, "{covariance}");
    }
}
