//! A color as a value.

use std::fmt;

use palette::color_difference::Ciede2000;
use palette::convert::{FromColorUnclamped, IntoColorUnclamped};
use palette::white_point::{D50, D65};
use palette::{Lab, LinSrgb, Oklab, Srgb};
use serde::{Deserialize, Serialize};

/// An opaque color in sRGB's primaries and white. What lies outside of sRGB has numbers outside of 0..1; what a picture
/// cannot show of it is [brought into its gamut](crate::gamut) when it is painted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Color {
    /// Linear light, red, green and blue.
    linear: [f32; 3],
}

impl Color {
    /// The color of linear sRGB, which may lie outside of 0..1.
    pub fn from_linear(linear: [f32; 3]) -> Self {
        Self { linear }
    }

    /// The color of encoded 8-bit sRGB.
    pub fn from_srgb8(rgb: [u8; 3]) -> Self {
        let linear: LinSrgb<f32> = Srgb::from(rgb).into_linear();
        Self {
            linear: linear.into(),
        }
    }

    /// CIE L\*a\*b\* under D50, as CSS's `lab()` and print software have it.
    pub fn from_lab_d50(l: f32, a: f32, b: f32) -> Self {
        use palette::chromatic_adaptation::AdaptIntoUnclamped;
        let xyz: palette::Xyz<D50, f32> = Lab::<D50, f32>::new(l, a, b).into_color_unclamped();
        let xyz: palette::Xyz<D65, f32> = xyz.adapt_into_unclamped();
        Self {
            linear: LinSrgb::from_color_unclamped(xyz).into(),
        }
    }

    /// The color at these OKLab coordinates, which may lie beyond sRGB.
    pub fn from_oklab(color: Oklab<f32>) -> Self {
        Self {
            linear: LinSrgb::from_color_unclamped(color).into(),
        }
    }

    /// Linear sRGB.
    pub fn linear(self) -> [f32; 3] {
        self.linear
    }

    /// CIE L\*a\*b\* under D65, in which CIEDE2000 is taken.
    pub fn lab(self) -> Lab<D65, f32> {
        Lab::from_color_unclamped(LinSrgb::from(self.linear))
    }

    /// The color's OKLab coordinates.
    pub fn oklab(self) -> Oklab<f32> {
        Oklab::from_color_unclamped(LinSrgb::from(self.linear))
    }

    /// CIEDE2000 between two colors.
    pub fn difference(self, other: Self) -> f32 {
        self.lab().difference(other.lab())
    }

    /// `#RRGGBB`, the nearest that 8 bits can write; what is out of sRGB is cut off.
    pub fn hex(self) -> String {
        let rgb: Srgb<u8> = Srgb::from_linear(LinSrgb::from(
            self.linear.map(|value| value.clamp(0.0, 1.0)),
        ));
        format!("#{:02X}{:02X}{:02X}", rgb.red, rgb.green, rgb.blue)
    }

    /// CIE L\*a\*b\* under D50, as [`Color::from_lab_d50`] takes it.
    fn lab_d50(self) -> Lab<D50, f32> {
        use palette::chromatic_adaptation::AdaptIntoUnclamped;
        let xyz: palette::Xyz<D65, f32> = LinSrgb::from(self.linear).into_color_unclamped();
        let xyz: palette::Xyz<D50, f32> = xyz.adapt_into_unclamped();
        xyz.into_color_unclamped()
    }

    /// Whether sRGB has it, but for what rounding does.
    pub fn in_srgb(self) -> bool {
        self.linear
            .iter()
            .all(|value| (-0.0005..=1.0005).contains(value))
    }
}

/// As text that reads back as the color: `#RRGGBB` where that is all of it, else `lab(L a b)`.
impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.hex();
        let same = hex.parse::<Self>().is_ok_and(|of_hex| {
            let pairs = of_hex.linear.iter().zip(self.linear);
            pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6)
        });
        if same {
            return f.write_str(&hex);
        }
        let lab = self.lab_d50();
        write!(f, "lab({:.3} {:.3} {:.3})", lab.l, lab.a, lab.b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_color_reads_back_from_its_text() {
        for (text, written) in [
            ("teal", "#008080"),
            ("#1f6f8b", "#1F6F8B"),
            ("lab(52.5 -10 8)", "lab(52.500 -10.000 8.000)"),
            ("lab(60 90 60)", "lab(60.000 90.000 60.000)"),
        ] {
            let color: Color = text.parse().expect(text);
            assert_eq!(color.to_string(), written);
            let again: Color = written.parse().expect(written);
            assert!(color.difference(again) < 0.01);
        }
    }
}
