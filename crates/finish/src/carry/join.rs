//! The model's own picture, enlarged and joined to the full-size one where the edit changed it.
//!
//! Where the edit left the picture alone, both show the same, so that what differs there is the decoder's; it is carried
//! inwards and taken off. Grain is what an enlarged picture lacks: as much as there is around is added.

use image::GrayImage;
use rayon::prelude::*;

use super::Rendered;
use super::cells::Cells;
use super::map::apart;
use crate::coded::{code, light};
use crate::error::{Error, Result};
use crate::matte::{Matte, gathered};
use crate::pixels::Pixels;
use crate::plane::{Plane, blur};
use crate::recolor::{Painted, painted};
use crate::region::{Region, allowed};

/// How far apart, in OKLab, before and after are where the edit surely left the picture alone, and where it surely did not.
const ALONE: f32 = 0.02;
const CHANGED: f32 = 0.05;
/// By how much what was changed is grown, in cells, to take in what the decoder spreads.
const GROWN: f32 = 1.5;

/// Joins the result of an edit to the full-size picture: where it changed what is within the `bounds`, and where the `object` was
/// that it took away. Gives the picture, and how much of each pixel was changed: where that is 0, it is the picture's own.
///
/// # Errors
///
/// [`Error::Size`] where both renderings differ in size, [`Error::NothingFound`] where nothing was changed; what `beat` gives.
pub fn join(
    pixels: &Pixels<'_>,
    rendered: &Rendered<'_>,
    object: &[Matte],
    bounds: &[Region],
    beat: &(dyn Fn() -> Result<()> + Sync),
) -> Result<(Painted, GrayImage)> {
    let cells = Cells::new(pixels, rendered, bounds)?;
    let (width, height) = cells.size();
    let share = changed(pixels, &cells, object);
    if share
        .data
        .iter()
        .zip(&cells.allowed.data)
        .all(|(share, allowed)| share * allowed == 0.0)
    {
        return Err(Error::NothingFound);
    }
    beat()?;
    let after = cells.after.map(|light| light.map(code));
    let own = means(pixels, (width, height));
    beat()?;
    let apart = own.with(&after, |own, after| [0, 1, 2].map(|c| own[c] - after[c]));
    let alone = share.map(|share| share < 0.02);
    let shift = if alone.data.contains(&true) {
        gathered(&apart, &alone)
    } else {
        apart.map(|_| [0.0; 3])
    };
    let grain = grain(pixels, &share);
    let (across, down) = (
        width as f32 / pixels.width() as f32,
        height as f32 / pixels.height() as f32,
    );
    let at = |x: usize, y: usize| {
        let place = (
            (x as f32 + 0.5) * across - 0.5,
            (y as f32 + 0.5) * down - 0.5,
        );
        let share = share.sampled(place.0, place.1);
        if share == 0.0 {
            return (0.0, place);
        }
        (share * allowed(bounds, pixels, x, y), place)
    };
    let result = painted(pixels, beat, |x, y| {
        let (share, (u, v)) = at(x, y);
        if share == 0.0 {
            return None;
        }
        let pixel = pixels.linear(x, y).map(code);
        let (new, shift) = (enlarged(&after, u, v), shift.sampled(u, v));
        let grain = grain * noise(x, y);
        Some([0, 1, 2].map(|c| {
            let new = (new[c] + shift[c] + grain).clamp(0.0, 1.0);
            light(pixel[c] + share * (new - pixel[c]))
        }))
    })?;
    let mut matte = GrayImage::new(pixels.width() as u32, pixels.height() as u32);
    matte
        .as_mut()
        .par_chunks_mut(pixels.width())
        .enumerate()
        .for_each(|(y, row)| {
            for (x, value) in row.iter_mut().enumerate() {
                *value = (at(x, y).0 * 255.0).ceil() as u8;
            }
        });
    Ok((result, matte))
}

/// How much of each cell is the edit's, 0..1.
fn changed(pixels: &Pixels<'_>, cells: &Cells, object: &[Matte]) -> Plane<f32> {
    let space = pixels.light();
    let apart = cells.before.with(&cells.after, |before, after| {
        apart(space, before, after).sqrt()
    });
    let mut share =
        blur(&apart, 0.7).map(|apart| ((apart - ALONE) / (CHANGED - ALONE)).clamp(0.0, 1.0));
    for matte in object {
        share = share.with(&cells.share(matte), f32::max);
    }
    blur(&share, GROWN).map(|share| ((share - 0.04) * 4.0).clamp(0.0, 1.0))
}

/// The mean of the full-size picture in each cell, encoded.
fn means(pixels: &Pixels<'_>, (width, height): (usize, usize)) -> Plane<[f32; 3]> {
    let mut data = vec![[0.0; 3]; width * height];
    data.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
        for (x, out) in row.iter_mut().enumerate() {
            let rows = Cells::span(y, height, pixels.height());
            let columns = Cells::span(x, width, pixels.width());
            let count = (rows.len() * columns.len()) as f32;
            for (u, v) in rows.flat_map(|v| columns.clone().map(move |u| (u, v))) {
                let light = pixels.linear(u, v);
                (0..3).for_each(|c| out[c] += light[c] / count);
            }
            *out = out.map(code);
        }
    });
    Plane {
        width,
        height,
        data,
    }
}

/// Catmull and Rom's cubic (a = -0.5).
fn enlarged(plane: &Plane<[f32; 3]>, x: f32, y: f32) -> [f32; 3] {
    let taps = |at: f32, length: usize| {
        let low = at.floor();
        let t = at - low;
        let weights = [
            t * (-0.5 + t * (1.0 - 0.5 * t)),
            1.0 + t * t * (-2.5 + 1.5 * t),
            t * (0.5 + t * (2.0 - 1.5 * t)),
            t * t * (-0.5 + 0.5 * t),
        ];
        let index = |i: f32| (low + i - 1.0).clamp(0.0, (length - 1) as f32) as usize;
        [0, 1, 2, 3].map(|i| (index(i as f32), weights[i]))
    };
    let columns = taps(x, plane.width);
    let mut out = [0.0; 3];
    for (v, down) in taps(y, plane.height) {
        for (u, across) in columns {
            let value = plane.at(u, v);
            (0..3).for_each(|c| out[c] += down * across * value[c]);
        }
    }
    out
}

/// Pixels that are looked at for grain, and the most of it that is added: more is texture.
const LOOKED_AT: usize = 40_000;
const MOST: f32 = 0.03;

/// The standard deviation of what is grain around what was changed, encoded: of the median size of a Laplacian that sees no slopes
/// and no straight edges (Immerkaer, 1996).
fn grain(pixels: &Pixels<'_>, share: &Plane<f32>) -> f32 {
    let (width, height) = (pixels.width(), pixels.height());
    if width < 3 || height < 3 {
        return 0.0;
    }
    let around = blur(share, 4.0);
    let step = ((width * height) as f32 / LOOKED_AT as f32).sqrt().max(1.0) as usize;
    let cell =
        |x: usize, y: usize| y * share.height / height * share.width + x * share.width / width;
    let gray = |x: usize, y: usize| pixels.light().luminance(pixels.linear(x, y).map(code));
    let mut sizes: Vec<f32> = (1..height - 1)
        .step_by(step)
        .flat_map(|y| (1..width - 1).step_by(step).map(move |x| (x, y)))
        .filter(|(x, y)| share.data[cell(*x, *y)] == 0.0 && around.data[cell(*x, *y)] > 0.001)
        .map(|(x, y)| {
            let row = |y: usize, of: [f32; 3]| {
                of[0] * gray(x - 1, y) + of[1] * gray(x, y) + of[2] * gray(x + 1, y)
            };
            let sides = [1.0, -2.0, 1.0];
            (row(y - 1, sides) + row(y, [-2.0, 4.0, -2.0]) + row(y + 1, sides)).abs()
        })
        .collect();
    if sizes.is_empty() {
        return 0.0;
    }
    let half = sizes.len() / 2;
    (*sizes.select_nth_unstable_by(half, f32::total_cmp).1 / (6.0 * 0.6745)).min(MOST)
}

/// A number of mean 0 and standard deviation 1 for each pixel, always the same.
fn noise(x: usize, y: usize) -> f32 {
    let mut state = (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    let mut uniform = || {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    // Three of variance 1/12 make one of 1/4.
    2.0 * (uniform() + uniform() + uniform())
}
