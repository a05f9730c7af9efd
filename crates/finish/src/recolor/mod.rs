//! Recoloring: the paint of an object exchanged at full size, in the picture's own space and depth.
//!
//! - `paint`: what becomes of a pixel
//! - `exact`: the paint of one material, so that its flat part ends at a color
//! - `flat`: where the color is set and measured

mod exact;
mod flat;
mod paint;

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::coded::{code, light};
use crate::color::Color;
use crate::error::{Error, Result};
use crate::gamut::shown;
use crate::matte::{Matte, Mixed};
use crate::pixels::{Pixels, Samples};
pub(crate) use exact::Exact;
pub(crate) use paint::Paint;

/// Rows that one thread does before it looks whether it should stop.
const TILE: usize = 32;

/// Samples of a result, as those of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Painted {
    /// 8 bits a channel.
    Eight(Vec<u8>),
    /// 16 bits a channel.
    Sixteen(Vec<u16>),
}

impl Painted {
    /// To be read as a picture.
    pub fn samples(&self) -> Samples<'_> {
        match self {
            Self::Eight(samples) => Samples::Eight(samples),
            Self::Sixteen(samples) => Samples::Sixteen(samples),
        }
    }
}

/// What a recolor did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The material's own color.
    pub from: Color,
    /// The color that it was given: the one asked for, with less chroma where the picture's space does not have it.
    pub to: Color,
    /// Whether the color asked for lies outside of the picture's space.
    pub out_of_gamut: bool,
    /// Pixels whose chroma was reduced, because light on the new paint would have left the picture's space.
    pub reduced_pixels: usize,
    /// Luminance of the new paint over the old one's.
    pub gain: f32,
    /// Whether the gain was so large that shading was given less contrast, so that grain of the dark does not come out.
    pub gain_limited: bool,
    /// CIEDE2000 to `to` of the means of 16x16 pixels over the flat part: median.
    pub median: f32,
    /// The same, 95th percentile.
    pub p95: f32,
    /// How many means those are.
    pub means: usize,
}

/// Gives the materials of the mattes the color. Each keeps its own shading: the flat part of each ends at the color. The
/// report is the first one's, the main material's.
///
/// # Errors
///
/// [`Error::NothingFound`] where the mattes are empty, [`Error::Size`] where one is another picture's; what `beat` gives,
/// which is called between pieces of work of some milliseconds.
pub fn recolor(
    pixels: &Pixels<'_>,
    mattes: &[Matte],
    color: Color,
    beat: &(dyn Fn() -> Result<()> + Sync),
) -> Result<(Painted, Report)> {
    let space = pixels.light();
    let mut paints = Vec::new();
    for matte in mattes {
        matte.fits(pixels)?;
        paints.push((matte, Exact::new(pixels, matte, color)?));
        beat()?;
    }
    let Some((_, first)) = paints.first() else {
        return Err(Error::NothingFound);
    };
    let reduced = AtomicUsize::new(0);
    let shown = |light: [f32; 3]| {
        let (light, changed) = shown(space, light);
        if changed {
            reduced.fetch_add(1, Ordering::Relaxed);
        }
        light
    };
    let result = painted(pixels, beat, |x: usize, y: usize| -> Option<[f32; 3]> {
        let mut before: Option<[f32; 3]> = None;
        let mut change = [0.0; 3];
        for (matte, paint) in &paints {
            match matte.alpha(x, y) {
                0 => {}
                255 => return Some(shown(paint.over(pixels.linear(x, y)))),
                _ => {
                    let pixel = *before.get_or_insert_with(|| pixels.linear(x, y).map(code));
                    let mixed = matte.mixed(x, y);
                    let own = unmixed(pixel, &mixed);
                    let new = shown(paint.over(own.map(light))).map(code);
                    (0..3).for_each(|c| change[c] += mixed.share * (new[c] - own[c]));
                }
            }
        }
        before.map(|pixel| [0, 1, 2].map(|c| light(pixel[c] + change[c])))
    })?;
    let report = first.report(pixels, result.samples(), reduced.into_inner())?;
    Ok((result, report))
}

/// A copy of a picture with what `pixel` gives, linear light within 0..1, written over it.
pub(crate) fn painted(
    pixels: &Pixels<'_>,
    beat: &(dyn Fn() -> Result<()> + Sync),
    pixel: impl Fn(usize, usize) -> Option<[f32; 3]> + Sync,
) -> Result<Painted> {
    let (row, space) = (pixels.width() * 3, pixels.light());
    Ok(match pixels.samples() {
        Samples::Eight(samples) => {
            let mut out = samples.to_vec();
            fill(&mut out, row, beat, |x, y| {
                pixel(x, y)
                    .map(|light| light.map(|value| (space.encoded(value) * 255.0).round() as u8))
            })?;
            Painted::Eight(out)
        }
        Samples::Sixteen(samples) => {
            let mut out = samples.to_vec();
            fill(&mut out, row, beat, |x, y| {
                pixel(x, y).map(|light| {
                    light.map(|value| (space.encoded(value) * 65_535.0).round() as u16)
                })
            })?;
            Painted::Sixteen(out)
        }
    })
}

/// Writes what `pixel` gives, tile by tile.
fn fill<T: Send>(
    out: &mut [T],
    row: usize,
    beat: &(dyn Fn() -> Result<()> + Sync),
    pixel: impl Fn(usize, usize) -> Option<[T; 3]> + Sync,
) -> Result<()> {
    out.par_chunks_mut(row * TILE)
        .enumerate()
        .try_for_each(|(tile, rows)| {
            beat()?;
            for (i, row) in rows.chunks_mut(row).enumerate() {
                for (x, out) in row.chunks_exact_mut(3).enumerate() {
                    if let Some(new) = pixel(x, tile * TILE + i) {
                        out.iter_mut().zip(new).for_each(|(out, new)| *out = new);
                    }
                }
            }
            Ok(())
        })
}

/// The object's own color in a mixed pixel, encoded: what is left of it without the other color; where little of it is the
/// object's, the color nearby, since what is left is mostly noise.
pub(crate) fn unmixed(pixel: [f32; 3], mixed: &Mixed) -> [f32; 3] {
    let trust = ((mixed.share - 0.4) / 0.5).clamp(0.0, 1.0);
    [0, 1, 2].map(|c| {
        let left = (pixel[c] - (1.0 - mixed.share) * mixed.other[c]) / mixed.share.max(0.05);
        trust * left.clamp(0.0, 1.0) + (1.0 - trust) * mixed.own[c]
    })
}
