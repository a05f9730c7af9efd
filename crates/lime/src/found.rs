//! The object that a region points at in the full-size picture: found once, for all colors that it is given.

use std::sync::Arc;
use std::time::Instant;

use image::GrayImage;
use limekiln_finish::{Choice, Color, Evidence, Light, Material, Matte, Object, Region, Result};
use limekiln_finish::{Pixels, Samples};
use limekiln_pictures::original::Space;
use limekiln_pictures::{Colors, Mask, Original};

use crate::roi::Map;
use crate::timings::milliseconds;

/// A region of more than this share of the picture singles nothing out.
const NEARLY_ALL: f32 = 0.9;

/// Called between pieces of work of some milliseconds, from any thread; an error of it ends the work.
pub type Beat<'a> = &'a (dyn Fn() -> Result<()> + Sync);

/// What is to be recolored, and in what.
#[derive(Clone, Debug, PartialEq)]
pub struct Paint {
    /// The color.
    pub color: Color,
    /// The words of the instruction that it was read from; none where it was given as a value.
    pub words: Option<String>,
    /// Which materials of the object.
    pub materials: Choice,
}

/// A user's mask, of the picture's size: 0 and 255.
#[derive(Clone, Debug)]
pub struct UserMask {
    /// Its pixels.
    pub pixels: Arc<GrayImage>,
    /// Whether it only says roughly where, and the picture says where the object ends. Else it is taken as it is.
    pub rough: bool,
}

/// A picture at its full size, for what is done to it there.
#[derive(Clone, Debug)]
pub struct Full {
    /// The picture.
    pub original: Arc<Original>,
    /// The user's mask, where there is one.
    pub mask: Option<UserMask>,
    /// What is asked for.
    pub paint: Paint,
}

/// An object that is looked for: all that determines what is found.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// The full-size picture.
    pub original: &'a Original,
    /// The user's mask, where there is one.
    pub mask: Option<&'a UserMask>,
    /// The region that was located, and the map that it was located by.
    pub located: (Option<&'a Mask>, Option<&'a Map>),
    /// Which of its materials are meant.
    pub materials: &'a Choice,
}

/// What was found of an object.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where each chosen material is.
    pub mattes: Vec<Matte>,
    /// Its materials; none of a mask that is taken as it is.
    pub materials: Vec<Material>,
    /// What speaks for it; none of a mask that is taken as it is, which nobody doubts.
    pub evidence: Option<Evidence>,
    /// How sure it is that this is what was meant, 0 to 1.
    pub sure: f64,
    /// Time to find the object and its materials, in milliseconds.
    pub find_ms: f64,
    /// Time to find where they end.
    pub matte_ms: f64,
}

/// A picture as recoloring reads it.
///
/// # Errors
///
/// Of a picture without pixels.
pub fn pixels<'a>(original: &'a Original, light: &'a Light) -> Result<Pixels<'a>> {
    let (width, height) = original.size();
    let samples = match &original.colors {
        Colors::Eight(pixels) => Samples::Eight(pixels.as_raw()),
        Colors::Sixteen(pixels) => Samples::Sixteen(pixels.as_raw()),
    };
    Pixels::new(width as usize, height as usize, samples, light)
}

impl Found {
    /// Looks for the object in the picture's `pixels`: in the user's mask where there is one, else in the region that was located,
    /// with the map that it was located by.
    ///
    /// # Errors
    ///
    /// Where there is no region or nothing to be told from its surroundings, and where the object has no such material; what
    /// `beat` gives.
    pub fn of(pixels: &Pixels<'_>, sought: &Sought<'_>, beat: Beat<'_>) -> Result<Self> {
        let began = Instant::now();
        let Sought {
            mask,
            located,
            materials,
            ..
        } = *sought;
        let (region, map) = match mask {
            Some(UserMask {
                pixels: mask,
                rough: false,
            }) => {
                return Ok(Self {
                    mattes: vec![Matte::from_mask(pixels, mask, beat)?],
                    materials: Vec::new(),
                    evidence: None,
                    sure: 1.0,
                    find_ms: 0.0,
                    matte_ms: milliseconds(began),
                });
            }
            Some(mask) => (Region::from_image(&mask.pixels), None),
            None => {
                let (roi, map) = located;
                let region = roi.ok_or(limekiln_finish::Error::RegionEmpty)?;
                (Region::from(region), map.and_then(attention))
            }
        };
        let share = region.share();
        let object = Object::find_with(pixels, &region, map.as_ref(), beat)?;
        let found = object.materials(materials)?;
        beat()?;
        let find_ms = milliseconds(began);
        let began = Instant::now();
        let (mattes, evidence) = object.mattes(pixels, materials, beat)?;
        Ok(Self {
            mattes,
            materials: found,
            evidence: Some(evidence),
            // What is nearly everything has no surroundings to be told from.
            sure: match share > NEARLY_ALL {
                true => 0.0,
                false => rounded(evidence.sure()),
            },
            find_ms,
            matte_ms: milliseconds(began),
        })
    }
}

/// A number as reports show it.
pub(crate) fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}

/// A map as shares of its highest value.
pub(crate) fn attention(map: &Map) -> Option<Region> {
    let highest = map.values.iter().copied().fold(0.0, f32::max);
    (highest > 0.0).then(|| {
        let values = map.values.iter().map(|value| value / highest).collect();
        Region::new(map.side, map.side, values)
    })
}

/// Encoded level around which the primaries of a space are measured, and by how much one channel exceeds it: small enough that
/// no space leaves sRGB there, whose conversion would clip it.
const LEVEL: u16 = 32_768;
const MORE: u16 = 6_554;

/// What the numbers of a space mean, measured by its conversion to sRGB: its curve along the grays, its primaries around a gray.
pub fn light(space: &Space) -> Light {
    if space.is_srgb() {
        return Light::srgb();
    }
    let decode = |value: u16| {
        let value = f32::from(value) / 65_535.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    let luminance = |rgb: &[f32]| 0.212_6 * rgb[0] + 0.715_2 * rgb[1] + 0.072_2 * rgb[2];
    let shown = |row: Vec<u16>| -> Vec<f32> {
        let shown = space.to_srgb(&row);
        shown.into_iter().map(decode).collect()
    };
    let grays = shown((0..=u16::MAX).flat_map(|gray| [gray; 3]).collect());
    let white = luminance(&grays[grays.len() - 3..]).max(1e-6);
    let mut highest = 0.0_f32;
    let curve: Vec<f32> = grays
        .chunks_exact(3)
        .map(|gray| {
            // Rounding may let it fall by a step.
            highest = highest.max(luminance(gray) / white);
            highest
        })
        .collect();
    let mut around = vec![LEVEL; 12];
    for channel in 0..3 {
        around[3 + channel * 4] = LEVEL + MORE;
    }
    let around = shown(around);
    let step = curve[usize::from(LEVEL + MORE)] - curve[usize::from(LEVEL)];
    let matrix = [0, 1, 2].map(|row| {
        [0, 1, 2].map(|channel| (around[3 + channel * 3 + row] - around[row]) / step.max(1e-6))
    });
    let at = |value: f32| curve[(value * 65_535.0).round().clamp(0.0, 65_535.0) as usize];
    // A space that no light can be made of is taken for sRGB.
    Light::new(at, matrix).unwrap_or_default()
}
