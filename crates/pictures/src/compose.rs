//! An edit laid over its input, so that the input's own bytes stay outside the region.

use image::{GrayImage, Rgb, RgbImage};
use serde::Serialize;

use crate::mask::Mask;
use crate::resize::lanczos;

/// An edit fades into the picture over this share of its longer side.
const FEATHER_SHARE: u32 = 128;

/// How an edit was laid over its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seam {
    /// Width of the seam around the region, in pixels of the input.
    pub feather_px: u32,
    /// Pixels beyond the seam that are not the input's own.
    pub changed_outside_px: u64,
}

/// `picture` with the `edited` one, of any size, laid over it inside `roi` (of any size; everywhere where there is none).
pub fn paste(picture: &RgbImage, edited: &RgbImage, roi: Option<&GrayImage>) -> (RgbImage, Seam) {
    let (width, height) = picture.dimensions();
    let mask = match roi {
        Some(roi) => Mask::from_image(roi).resized(width as usize, height as usize),
        None => Mask::everything(width as usize, height as usize),
    };
    let feather_px = (width.max(height) / FEATHER_SHARE).max(1);
    let (result, changed_outside_px) = composite(picture, edited, &mask, feather_px);
    let seam = Seam {
        feather_px,
        changed_outside_px,
    };
    (result, seam)
}

/// Lays `edited`, enlarged to the original's size, over `original` inside `mask`, which has that size. The seam runs
/// outwards: an edit counts fully inside the region and fades to nothing over `feather_px` pixels of the original around it.
/// Returns the picture and how many of its pixels beyond the seam differ from the original's.
fn composite(
    original: &RgbImage,
    edited: &RgbImage,
    mask: &Mask,
    feather_px: u32,
) -> (RgbImage, u64) {
    let (width, height) = original.dimensions();
    let enlarged;
    let edited = if edited.dimensions() == original.dimensions() {
        edited
    } else {
        enlarged = lanczos(edited, width, height);
        &enlarged
    };
    let distances = distances(mask);
    let fade = STEP * (feather_px + 1);
    let weight =
        |x: u32, y: u32| fade.saturating_sub(distances[y as usize * width as usize + x as usize]);
    let out = RgbImage::from_fn(width, height, |x, y| {
        let (from, to, weight) = (
            original.get_pixel(x, y),
            edited.get_pixel(x, y),
            u64::from(weight(x, y)),
        );
        let whole = u64::from(fade);
        Rgb([0, 1, 2].map(|channel| {
            let mixed =
                u64::from(from.0[channel]) * (whole - weight) + u64::from(to.0[channel]) * weight;
            ((2 * mixed + whole) / (2 * whole)) as u8
        }))
    });
    let differs = |&(x, y, pixel): &(u32, u32, &Rgb<u8>)| {
        weight(x, y) == 0 && pixel != original.get_pixel(x, y)
    };
    let changed = out.enumerate_pixels().filter(differs).count() as u64;
    (out, changed)
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
    use proptest::prelude::*;

    use super::*;

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
