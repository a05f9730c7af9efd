//! An edit laid over its input, so that the input's own bytes stay outside the region.

use image::{GrayImage, ImageBuffer, Pixel};
use serde::Serialize;

use crate::mask::Mask;
use crate::original::{Colors, Original, shallow};
use crate::proof::{Outside, outside};
use crate::resize::Enlarged;

/// An edit fades into the picture over this share of its longer side.
const FEATHER_SHARE: u32 = 128;

/// How an edit was laid over its input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seam {
    /// Width of the seam around the region, in pixels of the input; 0 where the matte follows the object's own edge.
    pub feather_px: u32,
    /// Pixels beyond the seam.
    pub outside_px: u64,
    /// Those of them that are not the input's own.
    pub changed_outside_px: u64,
    /// BLAKE3 of the input's pixels beyond the seam, as [`Outside::before`] says.
    pub outside_before: String,
    /// BLAKE3 of the result's.
    pub outside_after: String,
}

/// An edit laid over its input.
#[derive(Clone, Debug)]
pub struct Pasted {
    /// The input with the edit in it.
    pub result: Original,
    /// How much of each pixel is the edit's: 255 all, 0 nothing, so that it is the input's own.
    pub matte: GrayImage,
    /// The seam between the two, and what lies beyond it.
    pub seam: Seam,
}

/// `original` with the `edited` picture, of any size and in sRGB, laid over it inside `roi` (of any size; everywhere where there
/// is none). Edited colors come into the original's space and depth, and so does the seam.
pub fn paste(original: &Original, edited: &Colors, roi: Option<&GrayImage>) -> Pasted {
    let (width, height) = original.size();
    let mask = match roi {
        Some(roi) => Mask::from_image(roi).resized(width as usize, height as usize),
        None => Mask::everything(width as usize, height as usize),
    };
    let feather_px = (width.max(height) / FEATHER_SHARE).max(1);
    let (result, matte) = composite(original, edited, &mask, feather_px);
    Pasted {
        seam: Seam::of(original, &result, &matte, feather_px),
        result,
        matte,
    }
}

impl Seam {
    /// Of a result that is its original's own where the matte is 0.
    pub fn of(original: &Original, result: &Original, matte: &GrayImage, feather_px: u32) -> Self {
        let Outside {
            pixels,
            changed,
            before,
            after,
            ..
        } = outside(original, result, matte);
        Self {
            feather_px,
            outside_px: pixels,
            changed_outside_px: changed,
            outside_before: before,
            outside_after: after,
        }
    }
}

/// Lays `edited`, enlarged to the original's size, over `original` inside `mask`, which has that size. The seam runs
/// outwards: an edit counts fully inside the region and fades to nothing over `feather_px` pixels of the original around it.
/// Returns the picture and its matte.
fn composite(
    original: &Original,
    edited: &Colors,
    mask: &Mask,
    feather_px: u32,
) -> (Original, GrayImage) {
    let (width, height) = original.size();
    let distances = distances(mask);
    let fade = STEP * (feather_px + 1);
    let enlarged = Enlarged::new(edited, width, height);
    let mut result = original.clone();
    let mut matte = GrayImage::new(width, height);
    for (y, distances) in distances.chunks_exact(width.max(1) as usize).enumerate() {
        let weights = || {
            distances
                .iter()
                .map(|distance| fade.saturating_sub(*distance))
        };
        if weights().all(|weight| weight == 0) {
            continue;
        }
        let row = original.space.deep_from_srgb(enlarged.row(y as u32));
        match &mut result.colors {
            Colors::Eight(pixels) => {
                blend(row_mut(pixels, width, y), &row, weights(), fade, shallow);
            }
            Colors::Sixteen(pixels) => {
                blend(row_mut(pixels, width, y), &row, weights(), fade, |value| {
                    value
                });
            }
        }
        for (value, weight) in row_mut(&mut matte, width, y).iter_mut().zip(weights()) {
            // Rounded up: only what has no weight is 0.
            *value = (weight * 255).div_ceil(fade) as u8;
        }
    }
    (result, matte)
}

fn row_mut<P: Pixel>(
    pixels: &mut ImageBuffer<P, Vec<P::Subpixel>>,
    width: u32,
    y: usize,
) -> &mut [P::Subpixel] {
    let samples = width as usize * usize::from(P::CHANNEL_COUNT);
    &mut pixels.as_mut()[y * samples..(y + 1) * samples]
}

/// Mixes a row of edited samples into `row`, pixel by pixel, by `weights` of `whole`.
fn blend<T: Copy + Into<u64> + TryFrom<u64>>(
    row: &mut [T],
    edited: &[u16],
    weights: impl Iterator<Item = u32>,
    whole: u32,
    own: impl Fn(u16) -> T,
) {
    let whole = u64::from(whole);
    for ((row, edited), weight) in row
        .chunks_exact_mut(3)
        .zip(edited.chunks_exact(3))
        .zip(weights)
    {
        let weight = u64::from(weight);
        if weight == 0 {
            continue;
        }
        for (value, edited) in row.iter_mut().zip(edited) {
            let to: u64 = own(*edited).into();
            let mixed = (*value).into() * (whole - weight) + to * weight;
            // Never more than the larger of the two.
            if let Ok(mixed) = T::try_from((2 * mixed + whole) / (2 * whole)) {
                *value = mixed;
            }
        }
    }
}

/// Distance of a step to a neighbour, in the units of [`distances`]; a diagonal step is 4.
const STEP: u32 = 3;

/// Distance of every pixel from the mask, in thirds of a pixel: the 3-4 chamfer, within 8 % of Euclid.
fn distances(mask: &Mask) -> Vec<u32> {
    const FAR: u32 = u32::MAX / 2;
    let (width, height) = (mask.width(), mask.height());
    let mut distances: Vec<u32> = mask
        .inside()
        .iter()
        .map(|&inside| if inside { 0 } else { FAR })
        .collect();
    let mut relax = |x: usize, y: usize, forward: bool| {
        let at = |dx: isize, dy: isize| -> Option<usize> {
            let (u, v) = (x.checked_add_signed(dx)?, y.checked_add_signed(dy)?);
            (u < width && v < height).then_some(v * width + u)
        };
        let sign = if forward { -1 } else { 1 };
        let near = [
            (at(sign, 0), STEP),
            (at(0, sign), STEP),
            (at(sign, sign), 4),
            (at(-sign, sign), 4),
        ];
        for (neighbour, step) in near {
            if let Some(neighbour) = neighbour {
                distances[y * width + x] =
                    distances[y * width + x].min(distances[neighbour] + step);
            }
        }
    };
    for y in 0..height {
        for x in 0..width {
            relax(x, y, true);
        }
    }
    for y in (0..height).rev() {
        for x in (0..width).rev() {
            relax(x, y, false);
        }
    }
    distances
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    /// As [`super::composite`], of pictures in 8 bits and sRGB.
    fn composite(
        original: &RgbImage,
        edited: &RgbImage,
        mask: &Mask,
        feather: u32,
    ) -> (RgbImage, u64) {
        let original = Original::from(original.clone());
        let (result, matte) = super::composite(&original, &edited.clone().into(), mask, feather);
        let changed = outside(&original, &result, &matte).changed;
        (result.into_picture().rgb, changed)
    }

    fn picture(width: u32, height: u32, seed: u8) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let value = (x as u8)
                .wrapping_mul(31)
                .wrapping_add((y as u8).wrapping_mul(57))
                .wrapping_add(seed);
            Rgb([value, value.wrapping_mul(3), value.wrapping_mul(7)])
        })
    }

    #[test]
    fn the_edit_is_whole_inside_and_fades_outside() {
        let (original, edited) = (
            RgbImage::from_pixel(20, 9, Rgb([0; 3])),
            RgbImage::from_pixel(20, 9, Rgb([255; 3])),
        );
        let mask = Mask::new(20, 9, (0..180).map(|i| i % 20 < 5).collect());
        let (out, changed) = composite(&original, &edited, &mask, 4);
        let line: Vec<u8> = (0..20).map(|x| out.get_pixel(x, 4).0[0]).collect();
        assert_eq!(line[..10], [255, 255, 255, 255, 255, 204, 153, 102, 51, 0]);
        assert!(line[10..].iter().all(|value| *value == 0));
        assert_eq!(changed, 0);
    }

    proptest! {
        #[test]
        fn bytes_outside_the_feather_are_the_originals(
            w in 1u32..30, h in 1u32..30, ew in 1u32..30, eh in 1u32..30, feather in 0u32..5, x0 in 0u32..30, y0 in 0u32..30,
        ) {
            let (original, edited) = (picture(w, h, 1), picture(ew, eh, 99));
            let (w, h) = (w as usize, h as usize);
            let roi = Mask::new(ew as usize, eh as usize, (0..ew * eh).map(|i| i % ew >= x0 && i / ew >= y0).collect());
            let mask = roi.resized(w, h);
            let (out, changed) = composite(&original, &edited, &mask, feather);
            prop_assert_eq!(changed, 0);
            prop_assert_eq!(out.dimensions(), original.dimensions());
            let near = mask.grown(feather as usize);
            for (x, y, pixel) in out.enumerate_pixels() {
                let index = y as usize * w + x as usize;
                if !near.inside()[index] {
                    prop_assert_eq!(pixel, original.get_pixel(x, y));
                }
                if mask.inside()[index] && original.dimensions() == (ew, eh) {
                    prop_assert_eq!(pixel, edited.get_pixel(x, y));
                }
            }
        }
    }
}
