//! Fine texture: what a Gaussian of three pixels takes away from luma.

use image::RgbImage;

/// Standard deviation of the Gaussian, in pixels.
const SIGMA: f64 = 3.0;
/// The Gaussian is cut off at this many standard deviations.
const REACH: f64 = 4.0;

/// Luma (0.299, 0.587, 0.114 of the codes) without its low frequencies, row by row, in codes. Beyond the border the picture is
/// mirrored with its border repeated, as `scipy.ndimage.gaussian_filter` does.
pub(super) fn fine(picture: &RgbImage) -> Vec<f32> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let luma: Vec<f32> = picture
        .pixels()
        .map(|pixel| {
            let [r, g, b] = pixel.0.map(f32::from);
            0.299 * r + 0.587 * g + 0.114 * b
        })
        .collect();
    let kernel = kernel();
    let mut low = luma.clone();
    let mut padded = Vec::new();
    for row in low.chunks_mut(width.max(1)) {
        pad(row.iter().copied(), &kernel, &mut padded);
        convolve(&padded, &kernel, |x, value| row[x] = value);
    }
    for x in 0..width {
        pad(
            (0..height).map(|y| low[y * width + x]),
            &kernel,
            &mut padded,
        );
        convolve(&padded, &kernel, |y, value| low[y * width + x] = value);
    }
    luma.iter()
        .zip(&low)
        .map(|(luma, low)| luma - low)
        .collect()
}

/// Pearson's correlation of two series where `within` is true; none where one of them does not vary.
pub(super) fn correlation(a: &[f32], b: &[f32], within: &[bool]) -> Option<f64> {
    let pairs = || {
        a.iter()
            .zip(b)
            .zip(within)
            .filter(|(_, within)| **within)
            .map(|((&a, &b), _)| (f64::from(a), f64::from(b)))
    };
    let count = pairs().count() as f64;
    let (sum_a, sum_b) = pairs().fold((0.0, 0.0), |sums, (a, b)| (sums.0 + a, sums.1 + b));
    let (mean_a, mean_b) = (sum_a / count, sum_b / count);
    let (mut both, mut own, mut other) = (0.0, 0.0, 0.0);
    for (a, b) in pairs() {
        both += (a - mean_a) * (b - mean_b);
        own += (a - mean_a).powi(2);
        other += (b - mean_b).powi(2);
    }
    (own > 0.0 && other > 0.0).then(|| both / (own * other).sqrt())
}

fn kernel() -> Vec<f32> {
    let reach = (SIGMA * REACH + 0.5) as i32;
    let weights = (-reach..=reach).map(|i| (-0.5 * (f64::from(i) / SIGMA).powi(2)).exp());
    let sum: f64 = weights.clone().sum();
    weights.map(|weight| (weight / sum) as f32).collect()
}

fn pad(line: impl ExactSizeIterator<Item = f32>, kernel: &[f32], padded: &mut Vec<f32>) {
    let (reach, length) = (kernel.len() / 2, line.len());
    padded.clear();
    padded.resize(reach, 0.0);
    padded.extend(line);
    padded.resize(length + 2 * reach, 0.0);
    for i in 0..reach {
        // A line shorter than the kernel is mirrored more than once.
        let mirrored = |at: usize| {
            let turn = at % (2 * length.max(1));
            reach
                + if turn < length {
                    turn
                } else {
                    2 * length - 1 - turn
                }
        };
        padded[reach - 1 - i] = padded[mirrored(i)];
        padded[reach + length + i] = padded[mirrored(length + i)];
    }
}

fn convolve(padded: &[f32], kernel: &[f32], mut put: impl FnMut(usize, f32)) {
    for (at, window) in padded.windows(kernel.len()).enumerate() {
        let sum = window
            .iter()
            .zip(kernel)
            .map(|(value, weight)| value * weight);
        put(at, sum.sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    /// `luma - scipy.ndimage.gaussian_filter(luma, 3)` of scipy 1.17.1, at four places of a picture of 40 x 20 pixels.
    #[test]
    fn the_fine_part_is_scipys() {
        let picture = RgbImage::from_fn(40, 20, |x, y| {
            Rgb([
                (x * 37 % 251) as u8,
                (y * 91 % 241) as u8,
                ((x * y) % 239) as u8,
            ])
        });
        let found = fine(&picture);
        for (x, y, known) in SCIPY {
            let value = found[y * 40 + x];
            assert!(
                (value - known).abs() < 0.02,
                "{x} {y}: {value}, not {known}"
            );
        }
    }

    #[rustfmt::skip]
    const SCIPY: [(usize, usize, f32); 4] = [(0, 0, -70.3734), (39, 19, -29.3638), (20, 10, 84.202), (3, 17, 2.6071)];

    #[test]
    fn correlation_is_of_what_is_within() {
        let (a, b) = ([1.0, 2.0, 3.0, 9.0], [2.0, 4.0, 6.0, -5.0]);
        let within = [true, true, true, false];
        assert!((correlation(&a, &b, &within).unwrap() - 1.0).abs() < 1e-12);
        assert!(correlation(&a, &b, &[true; 4]).unwrap() < 0.0);
        assert_eq!(correlation(&a, &[1.0; 4], &within), None);
    }
}
