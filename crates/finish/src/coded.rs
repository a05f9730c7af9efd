//! Linear light, encoded as sRGB encodes it: steps that look even. Edges are mixed in it, as cameras and renderers that
//! write pictures mostly do.

use std::sync::OnceLock;

const STEPS: usize = 8192;

/// Encoded value of light, both from 0 to 1.
pub(crate) fn code(light: f32) -> f32 {
    static TABLE: OnceLock<Vec<f32>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        (0..=STEPS)
            .map(|i| {
                let light = (i as f32 / STEPS as f32).powi(2);
                if light <= 0.003_130_8 {
                    light * 12.92
                } else {
                    1.055 * light.powf(1.0 / 2.4) - 0.055
                }
            })
            .collect()
    });
    let at = light.clamp(0.0, 1.0).sqrt() * STEPS as f32;
    let low = (at as usize).min(STEPS - 1);
    table[low] + (table[low + 1] - table[low]) * (at - low as f32)
}

/// Light of an encoded value.
pub(crate) fn light(code: f32) -> f32 {
    static TABLE: OnceLock<Vec<f32>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        (0..=STEPS)
            .map(|i| srgb_light(i as f32 / STEPS as f32))
            .collect()
    });
    let at = code.clamp(0.0, 1.0) * STEPS as f32;
    let low = (at as usize).min(STEPS - 1);
    table[low] + (table[low + 1] - table[low]) * (at - low as f32)
}

/// Light of a value that sRGB encodes, by the standard's formula. A value in a picture's own space is [`crate::Light`]'s.
pub(crate) fn srgb_light(code: f32) -> f32 {
    if code <= 0.040_45 {
        code / 12.92
    } else {
        ((code + 0.055) / 1.055).powf(2.4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for i in 0..=1000 {
            let value = i as f32 / 1000.0;
            assert!((light(code(value)) - value).abs() < 2e-5, "{value}");
        }
    }
}
