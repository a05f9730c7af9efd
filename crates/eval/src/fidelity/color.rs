//! Colors as people see them apart.

use image::RgbImage;
use palette::color_difference::Ciede2000;
use palette::{IntoColor, Lab, Srgb};

/// CIELAB of an sRGB pixel, D65.
pub(super) fn lab(rgb: [u8; 3]) -> Lab {
    Srgb::from(rgb).into_format::<f32>().into_color()
}

/// CIELAB of every pixel, row by row.
pub(super) fn labs(picture: &RgbImage) -> Vec<Lab> {
    picture.pixels().map(|pixel| lab(pixel.0)).collect()
}

/// CIEDE2000.
pub(super) fn apart(a: Lab, b: Lab) -> f64 {
    f64::from(a.difference(b))
}

/// Distance from gray.
pub(super) fn chroma(color: Lab) -> f64 {
    f64::from(color.a.hypot(color.b))
}

/// The lesser angle between two hues, in degrees.
pub(super) fn hue_apart(a: Lab, b: Lab) -> f64 {
    let hue = |color: Lab| f64::from(color.b.atan2(color.a)).to_degrees();
    let turn = (hue(a) - hue(b)).rem_euclid(360.0);
    turn.min(360.0 - turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs from Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula" (2005), table 1: those that tell wrong
    /// implementations apart (hues across 0 degrees, near gray) among them.
    #[test]
    fn ciede2000_is_as_published() {
        #[rustfmt::skip]
        let pairs: [([f32; 3], [f32; 3], f64); 14] = [
            ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
            ([50.0, 3.1571, -77.2803], [50.0, 0.0, -82.7485], 2.8615),
            ([50.0, -1.3802, -84.2814], [50.0, 0.0, -82.7485], 1.0000),
            ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
            ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0009], 7.1792),
            ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0011], 7.2195),
            ([50.0, -0.001, 2.49], [50.0, 0.0009, -2.49], 4.8045),
            ([50.0, 2.5, 0.0], [50.0, 0.0, -2.5], 4.3065),
            ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
            ([50.0, 2.5, 0.0], [56.0, -27.0, -3.0], 31.9030),
            ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
            ([22.7233, 20.0904, -46.694], [23.0331, 14.973, -42.5619], 2.0373),
            ([90.9257, -0.5406, -0.9208], [88.6381, -0.8985, -0.7239], 1.5381),
            ([2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082),
        ];
        for (a, b, known) in pairs {
            let lab = |[l, a, b]: [f32; 3]| Lab::new(l, a, b);
            let found = apart(lab(a), lab(b));
            assert!(
                (found - known).abs() < 1.5e-3,
                "{a:?} {b:?}: {found}, not {known}"
            );
        }
    }

    /// As scikit-image's `rgb2lab` has them.
    #[test]
    fn lab_is_that_of_srgb_under_d65() {
        let red = lab([255, 0, 0]);
        for (found, known) in [(red.l, 53.24), (red.a, 80.09), (red.b, 67.20)] {
            assert!((found - known).abs() < 0.05, "{red:?}");
        }
        assert!(chroma(lab([128; 3])) < 0.1);
        assert!((hue_apart(lab([255, 0, 30]), lab([255, 40, 0])) - 37.0).abs() < 20.0);
    }
}
