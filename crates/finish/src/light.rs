//! Between a picture's samples and linear light: its curve and its primaries.

use palette::convert::FromColorUnclamped;
use palette::{LinSrgb, Oklab};

use crate::coded::srgb_light;

/// Intervals of the table from light to samples, over the square root of light: straight between its points, it is off by
/// less than a fifth of a step of 16 bits.
const ENCODE: usize = 16_384;

type Matrix = [[f32; 3]; 3];

/// What the numbers of a picture mean: one curve for its three channels, and the way from its primaries to sRGB's.
#[derive(Clone, Debug)]
pub struct Light {
    shallow: Vec<f32>,
    deep: Vec<f32>,
    encode: Vec<f32>,
    to_srgb: Matrix,
    from_srgb: Matrix,
    luminance: [f32; 3],
}

impl Light {
    /// sRGB, which a picture is that says nothing of its space.
    pub fn srgb() -> Self {
        let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Self::new(srgb_light, identity)
            .unwrap_or_else(|| unreachable!("the identity has an inverse"))
    }

    /// A space whose encoded values 0..1 are `curve`'s linear light 0..1 (rising), and whose linear light `to_srgb` brings to
    /// linear sRGB, which may lie outside of 0..1. None where the matrix has no inverse or the curve does not rise.
    pub fn new(curve: impl Fn(f32) -> f32, to_srgb: Matrix) -> Option<Self> {
        let deep: Vec<f32> = (0..=u16::MAX)
            .map(|v| curve(f32::from(v) / 65_535.0))
            .collect();
        if deep
            .windows(2)
            .any(|pair| pair[0] > pair[1] || pair[1].is_nan())
            || deep[65_535] <= 0.0
        {
            return None;
        }
        let shallow = (0..=255_usize).map(|v| deep[v * 257]).collect();
        let encode = (0..=ENCODE)
            .map(|i| {
                let light = (i as f32 / ENCODE as f32).powi(2);
                let above = deep
                    .partition_point(|value| *value < light)
                    .clamp(1, 65_535);
                let (low, high) = (deep[above - 1], deep[above]);
                let part = if high > low {
                    (light - low) / (high - low)
                } else {
                    0.0
                };
                ((above - 1) as f32 + part.clamp(0.0, 1.0)) / 65_535.0
            })
            .collect();
        let from_srgb = inverse(to_srgb)?;
        let srgb = [0.212_6, 0.715_2, 0.072_2];
        let luminance = [0, 1, 2].map(|c| (0..3).map(|r| srgb[r] * to_srgb[r][c]).sum());
        Some(Self {
            shallow,
            deep,
            encode,
            to_srgb,
            from_srgb,
            luminance,
        })
    }

    /// Linear light of an 8-bit sample.
    pub(crate) fn shallow(&self, sample: u8) -> f32 {
        self.shallow[usize::from(sample)]
    }

    /// Linear light of a 16-bit sample.
    pub(crate) fn deep(&self, sample: u16) -> f32 {
        self.deep[usize::from(sample)]
    }

    /// The encoded value of linear light, both 0..1.
    pub(crate) fn encoded(&self, light: f32) -> f32 {
        let at = light.clamp(0.0, 1.0).sqrt() * ENCODE as f32;
        let low = (at as usize).min(ENCODE - 1);
        let part = at - low as f32;
        self.encode[low] + (self.encode[low + 1] - self.encode[low]) * part
    }

    /// Luminance of the space's linear light: 1 is white.
    pub(crate) fn luminance(&self, light: [f32; 3]) -> f32 {
        dot(self.luminance, light)
    }

    /// Linear sRGB of the space's linear light.
    pub(crate) fn to_srgb(&self, light: [f32; 3]) -> [f32; 3] {
        self.to_srgb.map(|row| dot(row, light))
    }

    /// The space's linear light of linear sRGB.
    pub(crate) fn of_srgb(&self, light: [f32; 3]) -> [f32; 3] {
        self.from_srgb.map(|row| dot(row, light))
    }

    /// OKLab of the space's linear light.
    pub(crate) fn oklab(&self, light: [f32; 3]) -> Oklab<f32> {
        Oklab::from_color_unclamped(LinSrgb::from(self.to_srgb(light)))
    }

    /// The space's linear light of OKLab.
    pub(crate) fn of_oklab(&self, color: Oklab<f32>) -> [f32; 3] {
        self.of_srgb(LinSrgb::from_color_unclamped(color).into())
    }
}

impl Default for Light {
    fn default() -> Self {
        Self::srgb()
    }
}

pub(crate) fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn inverse(m: Matrix) -> Option<Matrix> {
    let cofactor = |r: usize, c: usize| {
        let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f32 = (0..3).map(|c| m[0][c] * cofactor(0, c)).sum();
    (determinant.abs() > 1e-6)
        .then(|| [0, 1, 2].map(|r| [0, 1, 2].map(|c| cofactor(c, r) / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back() {
        for (light, what) in [
            (Light::srgb(), "sRGB"),
            (
                Light::new(|v| v.powf(2.2), P3).expect("a space"),
                "gamma 2.2",
            ),
            (Light::new(|v| v, P3).expect("a space"), "linear"),
        ] {
            for v in 0..=255 {
                assert_eq!(
                    (light.encoded(light.shallow(v)) * 255.0).round() as u8,
                    v,
                    "{what}"
                );
            }
            for v in (600..=u16::MAX).step_by(97) {
                let back = light.encoded(light.deep(v)) * 65_535.0;
                assert!(
                    (back - f32::from(v)).abs() < 0.5,
                    "{what}: {v} came back as {back}"
                );
            }
        }
    }

    #[test]
    fn there_and_back() {
        let p3 = Light::new(srgb_light, P3).expect("a space");
        let light = [0.3, 0.5, 0.1];
        let back = p3.of_oklab(p3.oklab(light));
        for c in 0..3 {
            assert!((back[c] - light[c]).abs() < 1e-3, "{back:?}");
        }
        assert!((p3.luminance([1.0; 3]) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn no_space_at_all() {
        assert!(Light::new(|v| v, [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).is_none());
        assert!(Light::new(|v| 1.0 - v, P3).is_none());
    }

    /// Display P3 to sRGB.
    const P3: Matrix = [
        [1.224_940_1, -0.224_940_1, 0.0],
        [-0.042_056_9, 1.042_056_9, 0.0],
        [-0.019_637_6, -0.078_636_1, 1.098_273_7],
    ];
}
