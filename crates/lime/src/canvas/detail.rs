//! The model's edit carried over to the full-size picture.

use std::time::Instant;

use image::GrayImage;
use limekiln_finish::carry::{self, Rendered};
use limekiln_finish::color::asked;
use limekiln_finish::{Choice, Error as FinishError, Light, Matte, Object, Pixels};
use limekiln_finish::{Region, Result, Samples};
use limekiln_pictures::compose::Seam;
use limekiln_pictures::original::Rgb16Image;
use limekiln_pictures::{Mask, Original};
use serde::Serialize;

use super::read::Canvas;
use super::recolor::{RecolorReport, colors};
use crate::found::{self, Beat, Paint, attention, rounded};
use crate::roi::Map;
use crate::timings::milliseconds;
use crate::words;

/// An edit at the model's size, and what is known of it.
pub(super) struct Edited<'a> {
    /// What the decoder makes of the input's latents and of the result's.
    pub(super) rendered: (&'a Rgb16Image, &'a Rgb16Image),
    /// The region that was located, and the map that it was located by.
    pub(super) located: (Option<&'a Mask>, Option<&'a Map>),
    /// Where the edit could change anything.
    pub(super) changeable: Option<&'a Mask>,
    pub(super) instruction: &'a str,
    pub(super) carry: Carry,
    /// The color that was given as a value.
    pub(super) color: Option<&'a Paint>,
}

/// A picture with the model's edit in it.
pub(super) struct Detailed {
    pub(super) result: Original,
    pub(super) matte: GrayImage,
    pub(super) seam: Seam,
    pub(super) report: CarryReport,
    pub(super) recolor: Option<RecolorReport>,
    pub(super) warnings: Vec<String>,
}

/// Which way is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carry {
    /// The one that the words and the fit speak for.
    #[default]
    Auto,
    /// [`Way::Color`], as long as there is a material to fit a map to.
    Color,
    /// [`Way::Enlarged`].
    Enlarged,
}

/// Which way an edit came into the full-size picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Its change of color or light was carried over: shading, texture and grain are the picture's own.
    Color,
    /// The model's picture was enlarged, and joined where it changed something.
    Enlarged,
}

/// How an edit was carried over.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CarryReport {
    /// Which way.
    pub way: Way,
    /// Whether the words ask for another color, or for something that goes or comes; neither where they tell nothing of it.
    pub asked: Sense,
    /// How well a map of colors explains the edit; none where no material was found to fit one to.
    pub fit: Option<FitReport>,
    /// How many of the object's materials were changed.
    pub materials: usize,
    /// Lanes that the U-Net computed for it, on top of the edit's.
    pub lanes: f64,
    /// Time to find the object and where its materials end, in milliseconds.
    pub matte_ms: f64,
    /// Time to fit the map.
    pub fit_ms: f64,
    /// Time to make the result.
    pub paint_ms: f64,
}

/// What an instruction's words say of the kind of edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sense {
    /// Another color is asked for.
    Color,
    /// Something goes or comes.
    Thing,
    /// Neither is said.
    Open,
}

/// How well a map of colors explains an edit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FitReport {
    /// The share of the object's change that it gives, at most 1; below 0 where it does harm.
    pub explained: f64,
    /// The share of all change that is the object's.
    pub covered: f64,
    /// How far the object's colors moved, in OKLab: black and white are 1 apart.
    pub change: f64,
    /// How much the object stands out from what is around it, over how much it did.
    pub stands_out: f64,
}

impl Sense {
    fn of(instruction: &str, color: bool) -> Self {
        let found = asked(instruction).ok();
        if words::more_than_color(instruction, found.as_ref()) {
            Self::Thing
        } else if color || found.is_some() {
            Self::Color
        } else {
            Self::Open
        }
    }
}

impl Canvas {
    /// The picture with the edit carried over to it, or else joined to it; none where the edit changed nothing.
    ///
    /// # Errors
    ///
    /// What `beat` gives.
    pub(super) fn detailed(&self, edit: &Edited<'_>, beat: Beat<'_>) -> Result<Option<Detailed>> {
        let light = found::light(&self.original.space);
        let pixels = found::pixels(&self.original, &light)?;
        let srgb = Light::srgb();
        let (before, after) = edit.rendered;
        let rendered = Rendered {
            before: small(before, &srgb)?,
            after: small(after, &srgb)?,
        };
        let bounds = self.bounds(edit);
        let sense = Sense::of(edit.instruction, edit.color.is_some());
        let began = Instant::now();
        let mattes = none_found(self.mattes(&pixels, edit, beat))?.unwrap_or_default();
        let matte_ms = milliseconds(began);
        let began = Instant::now();
        let fitted = none_found(carry::Carry::fit(
            &pixels, &mattes, &rendered, &bounds, beat,
        ))?;
        let fit = fitted.as_ref().map(carry::Carry::how_well);
        let fit_ms = milliseconds(began);
        let is_color = |fitted: &carry::Carry<'_>| match edit.carry {
            Carry::Color => true,
            Carry::Enlarged => false,
            Carry::Auto => {
                sense != Sense::Thing && fitted.how_well().is_color(sense == Sense::Color)
            }
        };
        let began = Instant::now();
        let mut warnings = Vec::new();
        if fitted.is_none() && edit.carry == Carry::Color {
            warnings.push(NO_MATERIAL.to_owned());
        }
        let (way, materials, result, matte, exact) = match fitted.filter(is_color) {
            Some(carry) => {
                let color = edit.color.map(|paint| paint.color);
                let carried = carry.paint(&pixels, color, beat)?;
                let materials = carry.mattes().count();
                let (result, matte) = (carried.result, carried.matte);
                (Way::Color, materials, result, matte, carried.exact)
            }
            None => {
                let gone: &[Matte] = match sense {
                    Sense::Thing if !words::adds(edit.instruction) => &mattes,
                    _ => &[],
                };
                let Some((result, matte)) =
                    none_found(carry::join(&pixels, &rendered, gone, &bounds, beat))?
                else {
                    return Ok(None);
                };
                if edit.color.is_some() {
                    warnings.push(NO_COLOR.to_owned());
                }
                (Way::Enlarged, 0, result, matte, None)
            }
        };
        let paint_ms = milliseconds(began);
        let recolor = edit.color.zip(exact).map(|(paint, exact)| {
            warnings.extend(super::recolor::warnings(paint, &exact));
            RecolorReport::of(paint, &exact, (matte_ms, paint_ms))
        });
        let result = self.original.recolored(colors(self.size(), result)?);
        Ok(Some(Detailed {
            seam: Seam::of(&self.original, &result, &matte, 0),
            result,
            matte,
            report: CarryReport {
                way,
                asked: sense,
                fit: fit.map(|fit| FitReport {
                    explained: rounded(fit.explained),
                    covered: rounded(fit.covered),
                    change: rounded(fit.change),
                    stands_out: rounded(fit.stands_out),
                }),
                materials,
                lanes: 0.0,
                matte_ms,
                fit_ms,
                paint_ms,
            },
            recolor,
            warnings,
        }))
    }

    /// What the edit may not leave: the latents that it could change, and a user's mask that is taken as it is.
    fn bounds(&self, edit: &Edited<'_>) -> Vec<Region> {
        let own = self.mask.as_ref().filter(|mask| !mask.rough);
        edit.changeable
            .map(Region::from)
            .into_iter()
            .chain(own.map(|mask| Region::from_image(&mask.pixels)))
            .collect()
    }

    /// Where each material of the object is. Of a mask that is taken as it is, and in which none can be told, all of it is one.
    fn mattes(&self, pixels: &Pixels<'_>, edit: &Edited<'_>, beat: Beat<'_>) -> Result<Vec<Matte>> {
        let (region, map) = match &self.mask {
            Some(mask) => (Region::from_image(&mask.pixels), None),
            None => {
                let (roi, map) = edit.located;
                let region = roi.ok_or(FinishError::RegionEmpty)?;
                (Region::from(region), map.and_then(attention))
            }
        };
        let found = Object::find_with(pixels, &region, map.as_ref(), beat).and_then(|object| {
            let materials = object.materials(&Choice::Main)?.into_iter();
            let large =
                materials.filter(|material| material.number == 1 || material.share >= LEAST);
            let numbers = large.take(MOST).map(|material| material.number).collect();
            object.mattes(pixels, &Choice::Numbers(numbers), beat)
        });
        match (found, &self.mask) {
            (Ok((mattes, _)), _) => Ok(mattes),
            (Err(FinishError::NothingFound), Some(mask)) if !mask.rough => {
                Ok(vec![Matte::from_mask(pixels, &mask.pixels, beat)?])
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// The least share of an object that a material has for a map of its own, and the most maps: each takes time and a matte.
const LEAST: f32 = 0.05;
const MOST: usize = 4;

const NO_MATERIAL: &str = "no material of the object could be told from what is around it, so there was nothing to carry a color \
                           over to: the model's picture was enlarged and joined; draw a mask closer to the object";
const NO_COLOR: &str = "the edit is no change of color, so the color that was given is not in it: ask for it alone, as in \
                        \"make the sofa blue\", or recolor with the preset \"recolor\"";

/// None where nothing was found.
fn none_found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(FinishError::NothingFound | FinishError::RegionEmpty) => Ok(None),
        Err(error) => Err(error),
    }
}

fn small<'a>(picture: &'a Rgb16Image, light: &'a Light) -> Result<Pixels<'a>> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Pixels::new(width, height, Samples::Sixteen(picture.as_raw()), light)
}
