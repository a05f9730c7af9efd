//! An edit made at a model's size, carried over to the full-size picture.
//!
//! A model's decoder shifts colors and blurs. What it makes of the input's own latents has the same shift and blur as the
//! result, so the change is read between these two ([`Rendered`]), and not between input and result.
//!
//! - `cells`: both at the model's size, and what the mattes say there
//! - `map`: for one material, which color becomes which, place by place
//! - `fit`: whether such maps explain the edit, so that it is a change of color or light at all
//! - `join`: where they don't: the model's own picture, enlarged and joined

mod cells;
mod fit;
mod join;
mod map;

use std::sync::atomic::{AtomicUsize, Ordering};

use image::GrayImage;

use crate::coded::{code, light};
use crate::color::Color;
use crate::error::{Error, Result};
use crate::gamut::shown;
use crate::matte::Matte;
use crate::pixels::Pixels;
use crate::recolor::{Exact, Painted, Report, painted, unmixed};
use crate::region::{Region, allowed};
use cells::Cells;
use map::Map;

pub use fit::Fit;
pub use join::join;

/// A material counts as changed from this share of the change of the one that changed most.
const CHANGED: f32 = 0.5;

/// The input and the result as a model's decoder shows both: of one size, in sRGB.
#[derive(Clone, Copy, Debug)]
pub struct Rendered<'a> {
    /// Of the input's own latents.
    pub before: Pixels<'a>,
    /// Of the result's.
    pub after: Pixels<'a>,
}

/// A full-size picture with an edit carried over to it.
#[derive(Clone, Debug)]
pub struct Carried {
    /// The picture.
    pub result: Painted,
    /// How much of each pixel was changed: where that is 0, it is the picture's own.
    pub matte: GrayImage,
    /// What came of the color that was given, where one was.
    pub exact: Option<Report>,
}

/// How an edit is carried over to a full-size picture.
pub struct Carry<'a> {
    maps: Vec<(&'a Matte, Map)>,
    bounds: &'a [Region],
    size: (usize, usize),
    fit: Fit,
}

impl<'a> Carry<'a> {
    /// Fits a map to each of the materials, and leaves out those that the edit left alone. Nothing beyond any of the `bounds`
    /// is changed.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] where both renderings differ in size; [`Error::NothingFound`] where no material has a cell of its own;
    /// what `beat` gives.
    pub fn fit(
        pixels: &Pixels<'_>,
        mattes: &'a [Matte],
        rendered: &Rendered<'_>,
        bounds: &'a [Region],
        beat: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Self> {
        let cells = Cells::new(pixels, rendered, bounds)?;
        let mut maps = Vec::new();
        for matte in mattes {
            beat()?;
            let share = cells.share(matte);
            if let Some(map) = Map::new(pixels.light(), &cells, &share) {
                maps.push((matte, map, share));
            }
        }
        let most = maps
            .iter()
            .fold(0.0_f32, |most, (_, map, _)| most.max(map.change()));
        maps.retain(|(_, map, _)| map.change() >= CHANGED * most);
        if maps.is_empty() {
            return Err(Error::NothingFound);
        }
        beat()?;
        let shares: Vec<_> = maps.iter().map(|(_, map, share)| (map, share)).collect();
        let fit = Fit::of(pixels.light(), &cells, &shares);
        Ok(Self {
            maps: maps
                .into_iter()
                .map(|(matte, map, _)| (matte, map))
                .collect(),
            bounds,
            size: cells.size(),
            fit,
        })
    }

    /// How well the maps explain the edit.
    pub fn how_well(&self) -> Fit {
        self.fit
    }

    /// The mattes of the materials that the edit changed, the main one first.
    pub fn mattes(&self) -> impl Iterator<Item = &'a Matte> {
        self.maps.iter().map(|(matte, _)| *matte)
    }

    /// The picture with the edit. With a `color` the main material ends exactly at it, in place of the color that the model gave it.
    ///
    /// # Errors
    ///
    /// What `beat` gives, which is called between pieces of work of some milliseconds; [`Error::NothingFound`] where a color is given
    /// and the main material has no pixel.
    pub fn paint(
        &self,
        pixels: &Pixels<'_>,
        color: Option<Color>,
        beat: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Carried> {
        let space = pixels.light();
        let exact = match (color, self.maps.first()) {
            (Some(color), Some((matte, _))) => Some(Exact::new(pixels, matte, color)?),
            _ => None,
        };
        let reduced = AtomicUsize::new(0);
        let (across, down) = (
            self.size.0 as f32 / pixels.width() as f32,
            self.size.1 as f32 / pixels.height() as f32,
        );
        let result = painted(pixels, beat, |x, y| {
            let mut before: Option<[f32; 3]> = None;
            let mut change = [0.0; 3];
            let mut within = None;
            for (i, (matte, map)) in self.maps.iter().enumerate() {
                if matte.alpha(x, y) == 0 {
                    continue;
                }
                let within = *within.get_or_insert_with(|| allowed(self.bounds, pixels, x, y));
                if within == 0.0 {
                    return None;
                }
                let place = (
                    (x as f32 + 0.5) * across - 0.5,
                    (y as f32 + 0.5) * down - 0.5,
                );
                let pixel = *before.get_or_insert_with(|| pixels.linear(x, y).map(code));
                let (share, own) = if matte.alpha(x, y) == 255 {
                    (1.0, pixel)
                } else {
                    let mixed = matte.mixed(x, y);
                    (mixed.share, unmixed(pixel, &mixed))
                };
                let new = match exact.as_ref().filter(|_| i == 0) {
                    Some(exact) => exact.over(own.map(light)),
                    None => map.over(space, own.map(light), place),
                };
                let (new, less) = shown(space, new);
                if less {
                    reduced.fetch_add(1, Ordering::Relaxed);
                }
                let new = new.map(code);
                (0..3).for_each(|c| change[c] += within * share * (new[c] - own[c]));
            }
            before.map(|pixel| [0, 1, 2].map(|c| light((pixel[c] + change[c]).clamp(0.0, 1.0))))
        })?;
        let report = |exact: &Exact| exact.report(pixels, result.samples(), reduced.into_inner());
        Ok(Carried {
            exact: exact.as_ref().map(report).transpose()?,
            matte: self.matte(pixels),
            result,
        })
    }

    /// Rounded up, so that only what is not changed is 0.
    fn matte(&self, pixels: &Pixels<'_>) -> GrayImage {
        let mut matte = GrayImage::new(pixels.width() as u32, pixels.height() as u32);
        for (own, _) in &self.maps {
            own.lay_over(&mut matte);
        }
        let width = pixels.width();
        for (i, value) in matte
            .iter_mut()
            .enumerate()
            .filter(|(_, value)| **value > 0)
        {
            let within = allowed(self.bounds, pixels, i % width, i / width);
            *value = (f32::from(*value) * within).ceil() as u8;
        }
        matte
    }
}
