use proptest::prelude::*;

use super::*;
use crate::{kmeans::random::Random, preset::Corners};

/// A layer of smooth blobs plus noise, so that clusters mean something.
pub(crate) fn layer(height: usize, width: usize, channels: usize, seed: u64) -> Layer {
    let mut random = Random::new(seed);
    let mut value = || random.uniform() as f32 * 2.0 - 1.0;
    let styles: Vec<Vec<f32>> = (0..5)
        .map(|_| (0..channels).map(|_| 3.0 * value()).collect())
        .collect();
    let mut data = Vec::with_capacity(height * width * channels);
    for y in 0..height {
        for x in 0..width {
            let style = &styles[(5 * y / height + 3 * x / width) % 5];
            data.extend(style.iter().map(|mean| mean + 0.3 * value()));
        }
    }
    Layer {
        height,
        width,
        channels,
        data,
    }
}

/// The stack itself, in f64: `[side * side][channels]`.
pub(crate) fn stack(layers: &[Layer], side: usize, corners: Corners) -> Vec<Vec<f64>> {
    let mut pixels = vec![Vec::new(); side * side];
    for layer in layers {
        let (rows, columns) = (
            Axis::new(layer.height, side, corners),
            Axis::new(layer.width, side, corners),
        );
        for (index, pixel) in pixels.iter_mut().enumerate() {
            let (row, column) = (rows.taps()[index / side], columns.taps()[index % side]);
            for channel in 0..layer.channels {
                let at = |y: usize, x: usize| {
                    f64::from(layer.data[(y * layer.width + x) * layer.channels + channel])
                };
                let (down, right) = (f64::from(row.share), f64::from(column.share));
                let top =
                    (1.0 - right) * at(row.low, column.low) + right * at(row.low, column.high);
                let bottom =
                    (1.0 - right) * at(row.high, column.low) + right * at(row.high, column.high);
                pixel.push((1.0 - down) * top + down * bottom);
            }
        }
    }
    for pixel in &mut pixels {
        let norm = pixel
            .iter()
            .map(|value| value * value)
            .sum::<f64>()
            .sqrt()
            .max(1e-12);
        pixel.iter_mut().for_each(|value| *value /= norm);
    }
    pixels
}

fn corners(aligned: bool) -> Corners {
    if aligned {
        Corners::Aligned
    } else {
        Corners::HalfPixel
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pixels_products_and_sums_are_those_of_the_stack(
        height in 1usize..7, width in 1usize..7, side in 8usize..20, aligned: bool, seed: u64,
    ) {
        // The two layers of one size stand together, as `Fused` orders them.
        let layers = vec![layer(height, width, 11, seed), layer(height, width, 3, seed ^ 1), layer(2 * height, width + 1, 16, seed ^ 2)];
        let stack = stack(&layers, side, corners(aligned));
        let fused = Fused::new(layers, side, corners(aligned));
        prop_assert_eq!(fused.channels(), 30);
        for (index, want) in stack.iter().enumerate() {
            for (a, b) in fused.pixel(index).iter().zip(want) {
                prop_assert!((f64::from(*a) - b).abs() < 1e-5, "pixel {index}: {a} {b}");
            }
        }
        let centres: Vec<Vec<f32>> = [0, side + 1, side * side - 1].iter().map(|&index| fused.pixel(index)).collect();
        let products: Vec<f32> = fused.products(&centres, |_, products| products.to_vec()).concat();
        for (pixel, products) in stack.iter().zip(products.chunks_exact(3)) {
            for (product, centre) in products.iter().zip(&centres) {
                let want: f64 = pixel.iter().zip(centre).map(|(a, b)| a * f64::from(*b)).sum();
                prop_assert!((f64::from(*product) - want).abs() < 1e-5, "{product} {want}");
            }
        }
        let mut random = Random::new(seed);
        let labels: Vec<u8> = (0..side * side).map(|_| (random.uniform() * 4.0) as u8).collect();
        let sums = fused.sums(&labels, 4);
        for (label, sum) in sums.iter().enumerate() {
            for (channel, value) in sum.iter().enumerate() {
                let want: f64 = stack.iter().zip(&labels).filter(|(_, l)| usize::from(**l) == label).map(|(p, _)| p[channel]).sum();
                prop_assert!((value - want).abs() < 1e-4 * (side * side) as f64 / 10.0, "{value} {want}");
            }
        }
    }
}

#[test]
fn vanishing_features_are_no_division_by_zero() {
    let fused = Fused::new(
        vec![Layer {
            height: 2,
            width: 2,
            channels: 3,
            data: vec![0.0; 12],
        }],
        8,
        Corners::HalfPixel,
    );
    assert_eq!(fused.pixel(5), [0.0; 3]);
    assert_eq!(fused.squared_norm(5), 0.0);
}
