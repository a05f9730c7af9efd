//! Colors as people see them apart.

use image::RgbImage;
use palette::color_difference::Ciede2000;
use palette::{IntoColor, Lab, Srgb};

/// CIELAB of an sRGB pixel under D65.
#[must_use]
pub fn lab(rgb: [u8; 3]) -> Lab {
    Srgb::from(rgb).into_format::<f32>().into_color()
}

/// CIELAB of every pixel, row by row.
pub(super) fn labs(picture: &RgbImage) -> Vec<Lab> {
    picture.pixels().map(|pixel| lab(pixel.0)).collect()
}

/// CIEDE2000, ΔE00.
#[must_use]
pub fn delta_e(a: Lab, b: Lab) -> f64 {
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
