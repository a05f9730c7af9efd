//! What a finished picture is worth beside a perfect edit: both at full size, pixel by pixel.
//!
//! Pictures are sRGB, 8 bits; the *object* is where the true edit's object is, its *colored part* where it carries the color that
//! the edit changes (legs, stands, stems and mats excepted), each pixel by the half of it that counts. Distances are Euclidean,
//! between the middles of pixels. ΔE00 is CIEDE2000 between CIELAB values under D65.
//!
//! | score | is |
//! |---|---|
//! | `delta_e_median`, `delta_e_mean` | ΔE00 between result and truth over the colored part's pixels |
//! | `texture` | correlation, over the colored part, of what is fine in result and truth: luma less its Gaussian of 3 pixels |
//! | `ring` | mean ΔE00 between result and truth over pixels less than 40 pixels outside the object |
//! | `edge` | mean ΔE00 between result and truth over pixels at most 8 pixels from the object's edge, on either side |
//! | `boundary_f1` | F1 of the matte's boundary (half and more) and the colored part's, counting what is within 2 pixels |
//! | `old_hue` | share of the pixels at most 4 pixels outside the colored part that show the old color's hue and should not |
//! | `stray_matte` | share of the matte's weight more than 8 pixels from the object |
//! | `changed_outside` | pixels that differ from the input though the matte is 0 there; without a matte, outside the object |
//!
//! A room's old color is the input's median over the colored part; a pixel shows its hue when it is within 20 degrees of it and
//! has at least three tenths of its chroma. Rooms whose old color is near gray (chroma below 15) have no `old_hue`.

mod boundary;
mod color;
mod distance;
mod flat;
mod texture;

use image::{GrayImage, RgbImage};
use limekiln_finish::Color;
use limekiln_rooms::score::Error;
use serde::Serialize;

pub use color::{delta_e, lab};
pub use palette::Lab;

use color::{chroma, hue_apart, labs};
use distance::distances;
use flat::Flat;

/// Pixels outside the object over which `ring` is taken.
const RING_PX: f32 = 40.0;
/// Pixels to either side of the edge over which `edge` is taken.
const EDGE_PX: f32 = 8.0;
/// Pixels outside the colored part over which `old_hue` is taken.
const RIM_PX: f32 = 4.0;
/// How far from the object a matte may reach before it strays.
const STRAY_PX: f32 = 8.0;
/// Hues less than this apart are one.
const HUE_DEGREES: f64 = 20.0;
/// Least chroma of a color that has a hue.
const CHROMA_LEAST: f64 = 15.0;
/// Share of the old color's chroma from which a pixel shows it.
const CHROMA_SHARE: f64 = 0.3;

/// A room as it was, as a perfect edit leaves it, and where the object is.
#[derive(Clone, Debug)]
pub struct Truth {
    input: RgbImage,
    truth_lab: Vec<Lab>,
    truth_fine: Vec<f32>,
    colored: Vec<bool>,
    /// Distance from the object, 0 inside.
    outside: Vec<f32>,
    /// Distance from what is not the object, 0 outside.
    inside: Vec<f32>,
    /// Distance from the colored part, 0 inside.
    from_colored: Vec<f32>,
    old: Lab,
    flat: Flat,
    /// Of the true edit's flat part.
    color: Option<Color>,
}

/// One result's scores; the module says what each is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the module's table describes them")]
pub struct Fidelity {
    pub delta_e_median: f64,
    pub delta_e_mean: f64,
    /// None where result or truth has no texture.
    pub texture: Option<f64>,
    pub ring: f64,
    pub edge: f64,
    /// None without a matte.
    pub boundary_f1: Option<f64>,
    /// None where the old color has no hue.
    pub old_hue: Option<f64>,
    /// None without a matte, or where it is empty.
    pub stray_matte: Option<f64>,
    pub changed_outside: u64,
}

impl Truth {
    /// `object` and `colored` count as inside from 128 up.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] where the four differ in size, [`Error::Empty`] where nothing is colored.
    pub fn new(
        input: RgbImage,
        truth: &RgbImage,
        object: &GrayImage,
        colored: &GrayImage,
    ) -> Result<Self, Error> {
        let size = input.dimensions();
        for other in [
            truth.dimensions(),
            object.dimensions(),
            colored.dimensions(),
        ] {
            if other != size {
                return Err(Error::Size(size, other));
            }
        }
        let flags =
            |mask: &GrayImage| -> Vec<bool> { mask.iter().map(|&value| value >= 128).collect() };
        let (object, colored) = (flags(object), flags(colored));
        if !colored.contains(&true) {
            return Err(Error::Empty);
        }
        let (width, height) = (size.0 as usize, size.1 as usize);
        let rest: Vec<bool> = object.iter().map(|inside| !inside).collect();
        let flat = Flat::of(&input, &colored);
        Ok(Self {
            color: flat.color(truth),
            flat,
            old: median_color(&labs(&input), &colored),
            truth_lab: labs(truth),
            truth_fine: texture::fine(truth),
            outside: distances(&object, width, height),
            inside: distances(&rest, width, height),
            from_colored: distances(&colored, width, height),
            input,
            colored,
        })
    }

    /// The pixels that the edit was made of.
    #[must_use]
    pub fn input(&self) -> &RgbImage {
        &self.input
    }

    /// The color that a perfect edit gives the object, in the middle of its light; none where no part of it is lit evenly.
    #[must_use]
    pub fn color(&self) -> Option<Color> {
        self.color
    }

    /// ΔE00 of a result's flat part to a color, on means of 16x16 pixels: median and 95th percentile. The flat part is the
    /// colored part 8 pixels from its edge, where the input's lightness is within 5 of its median; of a narrow object single
    /// pixels far from its edge.
    #[must_use]
    pub fn apart(&self, result: &RgbImage, color: Color) -> Option<(f64, f64)> {
        self.flat.apart(result, color)
    }

    /// Scores a result of the input's size; `matte` says what of each pixel the edit may have changed, where there is such a thing.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] where one has another size.
    pub fn score(&self, result: &RgbImage, matte: Option<&GrayImage>) -> Result<Fidelity, Error> {
        let size = self.input.dimensions();
        for other in [Some(result.dimensions()), matte.map(GrayImage::dimensions)] {
            if let Some(other) = other.filter(|other| *other != size) {
                return Err(Error::Size(size, other));
            }
        }
        let found = labs(result);
        let apart: Vec<f64> = found
            .iter()
            .zip(&self.truth_lab)
            .enumerate()
            .map(|(i, (found, truth))| {
                if self.near(i) {
                    delta_e(*found, *truth)
                } else {
                    0.0
                }
            })
            .collect();
        let over = |within: &dyn Fn(usize) -> bool| {
            mean((0..apart.len()).filter(|&i| within(i)).map(|i| apart[i]))
        };
        let mut colored: Vec<f64> = (0..apart.len())
            .filter(|&i| self.colored[i])
            .map(|i| apart[i])
            .collect();
        Ok(Fidelity {
            delta_e_mean: mean(colored.iter().copied()),
            delta_e_median: median(&mut colored),
            texture: texture::correlation(&texture::fine(result), &self.truth_fine, &self.colored),
            ring: over(&|i| self.outside[i] > 0.0 && self.outside[i] < RING_PX),
            edge: over(&|i| self.outside[i].max(self.inside[i]) <= EDGE_PX),
            boundary_f1: matte.map(|matte| boundary::f1(matte, &self.colored)),
            old_hue: self.old_hue(&found),
            stray_matte: matte.and_then(|matte| self.stray(matte)),
            changed_outside: self.changed_outside(result, matte),
        })
    }

    /// Whether a score looks at this pixel's color.
    fn near(&self, i: usize) -> bool {
        self.colored[i] || self.outside[i] < RING_PX
    }

    fn old_hue(&self, found: &[Lab]) -> Option<f64> {
        let old = chroma(self.old);
        let shows = |color: Lab| {
            chroma(color) >= CHROMA_SHARE * old && hue_apart(color, self.old) < HUE_DEGREES
        };
        let rim = (0..found.len()).filter(|&i| {
            self.from_colored[i] > 0.0
                && self.from_colored[i] <= RIM_PX
                && !shows(self.truth_lab[i])
        });
        (old >= CHROMA_LEAST).then(|| mean(rim.map(|i| f64::from(u8::from(shows(found[i]))))))
    }

    fn stray(&self, matte: &GrayImage) -> Option<f64> {
        let weight = |i: usize, value: u8| {
            if self.outside[i] > STRAY_PX {
                u64::from(value)
            } else {
                0
            }
        };
        let all: u64 = matte.iter().map(|&value| u64::from(value)).sum();
        let astray: u64 = matte
            .iter()
            .enumerate()
            .map(|(i, &value)| weight(i, value))
            .sum();
        (all > 0).then(|| astray as f64 / all as f64)
    }

    fn changed_outside(&self, result: &RgbImage, matte: Option<&GrayImage>) -> u64 {
        let outside = |i: usize| match matte {
            Some(matte) => matte.as_raw()[i] == 0,
            None => self.outside[i] > 0.0,
        };
        let pixels = self.input.pixels().zip(result.pixels()).enumerate();
        pixels
            .filter(|(i, (before, after))| outside(*i) && before != after)
            .count() as u64
    }
}

/// The median of each channel where `within` is true.
fn median_color(colors: &[Lab], within: &[bool]) -> Lab {
    let channel = |of: fn(&Lab) -> f32| {
        let inside = colors.iter().zip(within).filter(|(_, within)| **within);
        median(
            &mut inside
                .map(|(color, _)| f64::from(of(color)))
                .collect::<Vec<_>>(),
        ) as f32
    };
    Lab::new(
        channel(|color| color.l),
        channel(|color| color.a),
        channel(|color| color.b),
    )
}

/// The middle value, or the mean of the two; 0 of nothing.
fn median(values: &mut [f64]) -> f64 {
    let count = values.len();
    if count == 0 {
        return 0.0;
    }
    let (low, middle, _) = values.select_nth_unstable_by(count / 2, f64::total_cmp);
    if count % 2 == 1 {
        return *middle;
    }
    let below = low.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (below + *middle) / 2.0
}

/// 0 of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
    }
}
