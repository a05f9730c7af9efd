//! The object of a picture in another color, at full size: no model's picture is in it.

use image::{GrayImage, ImageBuffer};
use limekiln_finish::{Choice, Evidence, Light, Painted, Report, Result, recolor};
use limekiln_pictures::compose::Seam;
use limekiln_pictures::{Colors, Mask, Original};
use serde::Serialize;

use super::read::Canvas;
use crate::found::{self, Beat, Found, Paint, Sought, pixels, rounded};
use crate::known::{Object, Unplaced};
use crate::roi::Map;
use crate::timings::milliseconds;

/// What was recolored, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct RecolorReport {
    /// The color that was asked for.
    pub color: String,
    /// The words of the instruction that it was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The main material's own color.
    pub from: String,
    /// The color that it was given: the one asked for, with less chroma where the picture's color space does not have it.
    pub to: String,
    /// Whether the color asked for lies outside of the picture's color space.
    pub out_of_gamut: bool,
    /// Pixels whose chroma was reduced, because light on the new paint would have left the picture's color space.
    pub reduced_px: usize,
    /// Luminance of the new paint over the old one's.
    pub gain: f64,
    /// Whether the gain was so large that shading was given less contrast.
    pub gain_limited: bool,
    /// CIEDE2000 to `to` of the means of 16x16 pixels over the flat part of the main material: median.
    pub delta_e_median: f64,
    /// The same, 95th percentile.
    pub delta_e_p95: f64,
    /// How many means those are.
    pub means: usize,
    /// The object's materials; none of a mask that is taken as it is.
    pub materials: Vec<MaterialReport>,
    /// How sure it is that this is what was meant, 0 to 1; 1 of a mask that is taken as it is.
    pub sure: f64,
    /// What that is put together from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Time to find the object and its materials, in milliseconds.
    pub find_ms: f64,
    /// Time to find where they end.
    pub matte_ms: f64,
    /// Time to paint.
    pub paint_ms: f64,
}

/// One material of the object.
#[derive(Clone, Debug, Serialize)]
pub struct MaterialReport {
    /// Counted from 1, the main one first.
    pub number: usize,
    /// Its share of the object, 0 to 1.
    pub share: f64,
    /// Its own color.
    pub color: String,
    /// Whether it was recolored.
    pub changed: bool,
}

impl RecolorReport {
    /// Of a paint and what came of it, of an object that was found otherwise.
    pub(super) fn of(paint: &Paint, done: &Report, (matte_ms, paint_ms): (f64, f64)) -> Self {
        Self {
            color: paint.color.to_string(),
            words: paint.words.clone(),
            from: done.from.hex(),
            to: done.to.hex(),
            out_of_gamut: done.out_of_gamut,
            reduced_px: done.reduced_pixels,
            gain: rounded(done.gain),
            gain_limited: done.gain_limited,
            delta_e_median: rounded(done.median),
            delta_e_p95: rounded(done.p95),
            means: done.means,
            materials: Vec::new(),
            sure: 1.0,
            evidence: None,
            find_ms: 0.0,
            matte_ms,
            paint_ms,
        }
    }
}

/// What the user should know of a color.
pub(super) fn warnings(paint: &Paint, done: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if done.out_of_gamut {
        warnings.push(format!(
            "the picture's color space does not have the color {}: it was given {}, of the same hue and lightness",
            paint.color,
            done.to.hex()
        ));
    }
    if done.gain_limited {
        warnings.push(format!(
            "the new color is {:.0} times as light as the old one: shading was given less contrast, so that grain of the dark \
             does not come out",
            done.gain
        ));
    }
    warnings
}

/// Painted samples as colors of this size.
///
/// # Errors
///
/// Where there are not as many.
pub(super) fn colors((width, height): (u32, u32), painted: Painted) -> Result<Colors> {
    let colors = match painted {
        Painted::Eight(samples) => ImageBuffer::from_raw(width, height, samples).map(Colors::Eight),
        Painted::Sixteen(samples) => {
            ImageBuffer::from_raw(width, height, samples).map(Colors::Sixteen)
        }
    };
    colors.ok_or_else(|| limekiln_finish::Error::Size {
        what: "the result",
        got: "another size".into(),
        want: format!("{width}x{height}"),
    })
}

/// A picture whose object has another color.
pub(super) struct Recolored {
    pub(super) result: Original,
    pub(super) matte: GrayImage,
    pub(super) seam: Seam,
    pub(super) report: RecolorReport,
    /// What was found; none where an earlier edit had found it.
    pub(super) fresh: Option<Object>,
    pub(super) warnings: Vec<String>,
}

impl Canvas {
    /// The name of what is to be recolored in it, but for the region: an [`Object`] of that name saves looking for it.
    pub fn unplaced(&self, paint: &Paint) -> Unplaced {
        Unplaced::of(&self.sought((None, None), &paint.materials))
    }

    fn sought<'a>(
        &'a self,
        located: (Option<&'a Mask>, Option<&'a Map>),
        materials: &'a Choice,
    ) -> Sought<'a> {
        Sought {
            original: &self.original,
            mask: self.mask.as_ref(),
            located,
            materials,
        }
    }

    /// Recolors what was `found`, or, where that is something else or nobody looked yet, what is found now. Below `least` it warns that it
    /// is not sure.
    pub(super) fn recolored(
        &self,
        found: Option<Object>,
        located: (Option<&Mask>, Option<&Map>),
        (paint, least): (&Paint, f64),
        beat: Beat<'_>,
    ) -> Result<Recolored> {
        let light: Light = found::light(&self.original.space);
        let before = pixels(&self.original, &light)?;
        let sought = self.sought(located, &paint.materials);
        let object = Object::of(&before, &sought, found, beat)?;
        let found: &Found = &object.found;
        let began = std::time::Instant::now();
        let (painted, done) = recolor(&before, &found.mattes, paint.color, beat)?;
        let paint_ms = milliseconds(began);
        let (width, height) = self.size();
        let mut matte = GrayImage::new(width, height);
        found.mattes.iter().for_each(|of| of.lay_over(&mut matte));
        let result = self.original.recolored(colors((width, height), painted)?);
        let sure = found.sure;
        let mut warnings = Vec::new();
        if sure < least {
            warnings.push(format!(
                "it is not sure that the right thing was found ({sure:.2} of 1): look at the matte, and draw a mask where it is wrong"
            ));
        }
        warnings.extend(self::warnings(paint, &done));
        let materials = found.materials.iter().map(|material| MaterialReport {
            number: material.number,
            share: rounded(material.share),
            color: material.color.hex(),
            changed: material.changed,
        });
        Ok(Recolored {
            seam: Seam::of(&self.original, &result, &matte, 0),
            report: RecolorReport {
                materials: materials.collect(),
                sure,
                evidence: found.evidence,
                find_ms: found.find_ms,
                ..RecolorReport::of(paint, &done, (found.matte_ms, paint_ms))
            },
            result,
            matte,
            fresh: (!object.reused).then_some(object),
            warnings,
        })
    }
}
