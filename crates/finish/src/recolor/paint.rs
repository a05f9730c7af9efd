//! One paint for another, under the same light.
//!
//! A pixel is paint under some light, and on top of it what the surface throws back of the lamp itself (Shafer's
//! dichromatic model, 1985): `I = s d + h l`, in linear light, with `d` the paint where the object is evenly lit. The new
//! paint takes `d`'s place; the shading `s` and the highlight `h l` stay. How much is highlight is told by how much of the
//! paint's own chroma is missing from a pixel that is brighter than the paint alone would be.

use crate::coded::code;
use crate::light::{Light, dot};

/// The chroma (over luminance) below which a paint is too gray to tell its highlights by color, and from which it isn't.
const TOLD: (f32, f32) = (0.12, 0.37);
/// The share of a paint's chroma that a pixel must have to be paint alone: less, and some of it is highlight.
const WHOLE: f32 = 0.75;
/// Light, of the even light, from which most of what is above is the lamp's and not the paint's.
const GLARE: f32 = 2.0;
/// Largest gain in luminance at which shading keeps its whole contrast: from near-black, grain would come out with it.
pub(crate) const GAIN: f32 = 12.0;

/// A paint put in another's place.
pub(crate) struct Paint {
    luminance: [f32; 3],
    /// Luminance of the old paint.
    old: f32,
    /// Chroma of the old paint over its own square.
    chroma: [f32; 3],
    /// How well highlights can be told, 0..1.
    told: f32,
    new: [f32; 3],
    new_luminance: f32,
    /// How far the even light can be exceeded before the new paint is as bright as the picture can show.
    headroom: f32,
    /// Exponent of the shading: below 1 where the gain is limited.
    contrast: f32,
    /// Whether whites are no paint.
    whites_stay: bool,
}

impl Paint {
    /// From one paint to another, both linear light of the picture's space within 0..1.
    pub(crate) fn new(light: &Light, old: [f32; 3], new: [f32; 3]) -> Self {
        let luminance = [0, 1, 2].map(|c| {
            let mut unit = [0.0; 3];
            unit[c] = 1.0;
            light.luminance(unit)
        });
        let old_luminance = dot(luminance, old).max(1e-4);
        let off = old.map(|value| value - old_luminance);
        let square = dot(off, off).max(1e-9);
        let new_luminance = dot(luminance, new).max(1e-5);
        let gain = new_luminance / old_luminance;
        let most = new.iter().fold(1e-4_f32, |most, value| most.max(*value));
        Self {
            luminance,
            old: old_luminance,
            chroma: off.map(|value| value / square),
            told: ((square.sqrt() / old_luminance - TOLD.0) / (TOLD.1 - TOLD.0)).clamp(0.0, 1.0),
            new,
            new_luminance,
            headroom: (1.0 / most).clamp(1.02, 4.0) - 1.0,
            contrast: if gain > GAIN {
                GAIN.ln() / gain.ln()
            } else {
                1.0
            },
            whites_stay: old.iter().any(|value| *value < 0.2),
        }
    }

    /// How much brighter the new paint is.
    pub(crate) fn gain(&self) -> f32 {
        self.new_luminance / self.old
    }

    /// A pixel of the old paint in the new one; linear light, which may lie above 1.
    pub(crate) fn over(&self, pixel: [f32; 3]) -> [f32; 3] {
        let luminance = dot(self.luminance, pixel);
        let light = luminance / self.old;
        let own = dot(pixel.map(|value| value - luminance), self.chroma) / light.max(1e-3);
        let whole = (own / WHOLE).clamp(0.0, 1.0);
        let missing = self.told * (1.0 - whole * whole * (3.0 - 2.0 * whole));
        let mut lamp = missing * (light - 1.0).max(0.0);
        let mut paint = light - lamp;
        let glare = 0.7 * (paint - GLARE).max(0.0);
        (lamp, paint) = (lamp + glare, paint - glare);
        if self.contrast < 1.0 {
            paint = paint.max(0.0).powf(self.contrast);
        }
        if paint > 1.0 {
            let over = paint - 1.0;
            paint = 1.0 + self.headroom * over / (self.headroom + over);
        }
        // In the shade, what has lost its chroma (haze, a neighbour's gray) goes on lacking it.
        let pale = 0.8 * missing * (1.0 - ((light - 1.0) * 2.0).clamp(0.0, 1.0));
        let out = self
            .new
            .map(|value| paint * (value + pale * (self.new_luminance - value)) + lamp * self.old);
        let least = pixel[0].min(pixel[1]).min(pixel[2]);
        if self.whites_stay && least > 0.78 {
            let stays = ((code(least) - 0.9) / 0.08).clamp(0.0, 1.0);
            return [0, 1, 2].map(|c| out[c] + stays * (pixel[c] - out[c]));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [f32; 3] = [0.4, 0.05, 0.04];
    const BLUE: [f32; 3] = [0.02, 0.1, 0.35];

    fn near(a: [f32; 3], b: [f32; 3]) -> bool {
        (0..3).all(|c| (a[c] - b[c]).abs() < 0.01)
    }

    #[test]
    fn shading_scales_and_highlights_keep_the_lamp() {
        let paint = Paint::new(&Light::srgb(), RED, BLUE);
        assert!(near(paint.over(RED), BLUE));
        assert!(near(
            paint.over(RED.map(|v| 0.3 * v)),
            BLUE.map(|v| 0.3 * v)
        ));
        let lamp = paint.over(RED.map(|v| v + 0.4));
        assert!(
            near(lamp, BLUE.map(|v| v + 0.4)) || lamp[0] > 0.3,
            "{lamp:?}"
        );
        assert_eq!(paint.over([1.0; 3]), [1.0; 3]);
    }

    #[test]
    fn brighter_never_comes_out_darker() {
        for (old, new) in [
            (RED, BLUE),
            (BLUE, [0.9, 0.9, 0.88]),
            ([0.8, 0.8, 0.78], [0.01; 3]),
            ([0.005; 3], [0.5, 0.1, 0.1]),
        ] {
            let light = Light::srgb();
            let paint = Paint::new(&light, old, new);
            let mut last = -1.0;
            for i in 0..=200 {
                let out = light.luminance(paint.over(old.map(|value| value * i as f32 / 100.0)));
                assert!(out >= last, "{old:?} to {new:?} at {i}");
                last = out;
            }
            assert!(near(paint.over(old), new));
        }
    }

    #[test]
    fn near_white_is_compressed_and_not_cut() {
        let paint = Paint::new(&Light::srgb(), RED, [0.92; 3]);
        let bright: Vec<f32> = (10..=16)
            .map(|i| paint.over(RED.map(|v| v * i as f32 / 10.0))[0])
            .collect();
        assert!(
            bright.windows(2).all(|pair| pair[0] < pair[1]) && bright[6] < 1.0,
            "{bright:?}"
        );
    }
}
