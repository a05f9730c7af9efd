//! Light and its codes: linear sRGB, where mixing and shading happen, and the curve that pictures store.

use crate::color::Rgb;

/// Linear light, a value for each primary of sRGB; 1 is white paper in full light.
pub(crate) type Light = [f32; 3];

/// What the code `value` in `[0, 1]` stands for.
pub(crate) fn decode(value: f32) -> f32 {
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// The code for linear light; what is below 0 counts as 0.
pub(crate) fn encode(light: f32) -> f32 {
    let light = light.max(0.0);
    if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

/// The share of light that paint of this color throws back.
pub(crate) fn albedo(rgb: Rgb) -> Light {
    rgb.map(|channel| decode(f32::from(channel) / 255.0))
}

/// Codes of sRGB as codes of Display P3, which shares curve and white (CSS Color 4, section 17).
pub(crate) fn to_display_p3(code: [f32; 3]) -> [f32; 3] {
    const ROWS: [Light; 3] = [
        [0.822_462, 0.177_538, 0.0],
        [0.033_194, 0.966_806, 0.0],
        [0.017_083, 0.072_397, 0.910_520],
    ];
    let light = code.map(decode);
    ROWS.map(|row| encode(dot(row, light)))
}

pub(crate) fn dot(a: Light, b: Light) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Channel by channel.
pub(crate) fn times(a: Light, b: Light) -> Light {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

pub(crate) fn scaled(light: Light, by: f32) -> Light {
    light.map(|channel| channel * by)
}

pub(crate) fn plus(a: Light, b: Light) -> Light {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

pub(crate) fn mixed(from: Light, to: Light, share: f32) -> Light {
    std::array::from_fn(|i| mix(from[i], to[i], share))
}

/// 0 below `from`, 1 above `to`, smooth between.
pub(crate) fn smooth(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_decoded_and_encoded() {
        for code in 0..=255u8 {
            let value = f32::from(code) / 255.0;
            assert!((encode(decode(value)) - value).abs() < 1e-5, "{code}");
        }
        assert!((decode(0.5) - 0.214_041).abs() < 1e-5);
        assert_eq!(encode(-0.1), 0.0);
    }

    /// Values of colorjs.io: sRGB red and a teal in Display P3.
    #[test]
    fn display_p3_holds_the_same_colors() {
        let red = to_display_p3([1.0, 0.0, 0.0]);
        for (found, known) in red.into_iter().zip([0.917_488, 0.200_287, 0.138_561]) {
            assert!((found - known).abs() < 1e-4, "{red:?}");
        }
        let gray = to_display_p3([0.5; 3]);
        assert!(gray.into_iter().all(|code| (code - 0.5).abs() < 1e-4));
    }
}
