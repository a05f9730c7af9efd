//! What a picture cannot show is brought to what it can: chroma falls, hue and lightness stay (OKLCh).

use palette::convert::IntoColorUnclamped;
use palette::{LinSrgb, Oklab};

use crate::light::Light;

/// How far linear light may lie outside of 0..1 before it counts: less than half a step of 8 bits in the dark.
const SLACK: f32 = 1e-4;
/// Halvings of the chroma's interval: to a thousandth of it.
const HALVINGS: usize = 12;

/// The color with the most chroma that sRGB can show at its hue and lightness, and whether it had to be reduced.
pub fn reduce(color: Oklab<f32>) -> (Oklab<f32>, bool) {
    reduce_in(color, |color| {
        let linear: LinSrgb<f32> = color.into_color_unclamped();
        linear.into()
    })
}

/// The same for any space of red, green and blue: `linear` gives the space's linear light, which it shows within 0..1.
pub fn reduce_in(color: Oklab<f32>, linear: impl Fn(Oklab<f32>) -> [f32; 3]) -> (Oklab<f32>, bool) {
    let shown = |color| {
        linear(color)
            .iter()
            .all(|value| (-SLACK..=1.0 + SLACK).contains(value))
    };
    if shown(color) {
        return (color, false);
    }
    let at = |share: f32| Oklab::new(color.l.clamp(0.0, 1.0), color.a * share, color.b * share);
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if shown(at(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (at(low), true)
}

/// Linear light of a space, which may lie above 1, as the space shows it; and whether that changed it.
pub(crate) fn shown(space: &Light, light: [f32; 3]) -> ([f32; 3], bool) {
    if light.iter().all(|value| *value <= 1.0) {
        return (light, false);
    }
    let (color, _) = reduce_in(space.oklab(light), |color| space.of_oklab(color));
    (
        space.of_oklab(color).map(|value| value.clamp(0.0, 1.0)),
        true,
    )
}

#[cfg(test)]
mod tests {
    use palette::Oklch;

    use super::*;

    #[test]
    fn hue_and_lightness_stay() {
        for hue in [0.0, 40.0, 110.0, 150.0, 200.0, 264.0, 320.0] {
            let was = Oklch::new(0.6_f32, 0.4, hue);
            let (shown, reduced) = reduce(was.into_color_unclamped());
            let is: Oklch<f32> = shown.into_color_unclamped();
            assert!(reduced && (was.l - is.l).abs() < 1e-5, "{is:?}");
            assert!(is.chroma < was.chroma && is.chroma > 0.05, "{is:?}");
            assert!((was.hue - is.hue).into_degrees().abs() < 0.1, "{is:?}");
            let linear: LinSrgb<f32> = shown.into_color_unclamped();
            let channels: [f32; 3] = linear.into();
            assert!(
                channels
                    .iter()
                    .all(|value| (-0.001..=1.001).contains(value))
            );
        }
    }

    #[test]
    fn what_is_shown_stays() {
        let color = Oklab::new(0.5, 0.02, -0.05);
        assert_eq!(reduce(color), (color, false));
    }
}
