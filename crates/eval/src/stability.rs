//! How much the region of one picture and instruction moves: with the seed of locating, with what else is in the picture, and
//! with rounding: a picture and its twin in another color space differ by 1 of 255 here and there once both are sRGB.

use image::{GrayImage, RgbImage};
use limekiln_diffusion::model::Model;
use limekiln_lime::preset::Recolor;
use limekiln_lime::{Preset, Request};
use limekiln_rooms::score;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::parallel;
use crate::row::Row;
use crate::scene::Scene;
use crate::stats::Mean;
use crate::text::{layout, shown};

/// How steady one row's regions are.
#[derive(Debug, Serialize)]
pub struct Stability {
    /// Label of the row: its preset, with the fields that replace its own.
    pub label: String,
    /// IoU of a room's regions with different seeds of locating: of a room the mean of all pairs, then the mean of rooms.
    pub seeds: Option<Mean>,
    /// IoU of a room's regions before and after another object has another color. Rooms where no other object is to be seen
    /// are left out.
    pub recolored: Option<Mean>,
    /// IoU of a room's regions before and after one sample in 32 moved by 1 of 255.
    pub nudged: Option<Mean>,
}

/// Of one room.
struct Found {
    seeds: Option<f64>,
    recolored: Option<f64>,
    nudged: f64,
}

/// One sample in so many is nudged: as many as differ between a room and its twin in Display-P3 of 8 bits.
const NUDGED: u32 = 32;

/// Locates each room with the seeds `0..seeds`, and again where another object has another color and where samples are nudged: of
/// the rows that locate.
pub(crate) fn measure(
    model: &Model,
    scenes: &[Scene],
    rows: &[Row],
    seeds: u64,
    jobs: usize,
) -> Result<Vec<Stability>> {
    let rows: Vec<&Row> = rows.iter().filter(|row| locates(row)).collect();
    let count = scenes.len() * rows.len();
    let work = |index: usize| {
        let (scene, row) = (&scenes[index / rows.len()], rows[index % rows.len()]);
        found(model, scene, row, seeds).map_err(|source| Error::Edit {
            room: scene.index,
            row: row.label.clone(),
            source: Box::new(source),
        })
    };
    let found = parallel::run(count, jobs, work, |_| {})?;
    let of = |row: usize, value: fn(&Found) -> Option<f64>| {
        let found = found.iter().skip(row).step_by(rows.len());
        Mean::of(found.filter_map(value))
    };
    let lines = rows.iter().enumerate().map(|(at, row)| Stability {
        label: row.label.clone(),
        seeds: of(at, |found| found.seeds),
        recolored: of(at, |found| found.recolored),
        nudged: of(at, |found| Some(found.nudged)),
    });
    Ok(lines.collect())
}

fn locates(row: &Row) -> bool {
    row.locates()
}

fn found(model: &Model, scene: &Scene, row: &Row, seeds: u64) -> Result<Found> {
    let preset = locating(&scene.preset(row));
    let with_seed = |seed: u64| {
        let mut preset = preset.clone();
        if let Some(locate) = &mut preset.locate {
            locate.seed = Some(seed);
        }
        region(model, scene, &scene.input, preset)
    };
    let regions = (0..seeds).map(with_seed).collect::<Result<Vec<_>>>()?;
    let mut pairs = Vec::new();
    for (at, one) in regions.iter().enumerate() {
        for other in &regions[at + 1..] {
            pairs.push(score::iou(one, other)?);
        }
    }
    let before = region(model, scene, &scene.input, preset.clone())?;
    let with_picture = |picture: &RgbImage| {
        let after = region(model, scene, picture, preset.clone())?;
        Ok::<_, Error>(score::iou(&before, &after)?)
    };
    Ok(Found {
        seeds: Mean::of(pairs).map(|mean| mean.mean),
        recolored: scene.recolored().as_ref().map(with_picture).transpose()?,
        nudged: with_picture(&nudged(&scene.input, scene.index))?,
    })
}

/// The picture with one sample in [`NUDGED`], as `seed` draws them, moved by 1.
fn nudged(picture: &RgbImage, seed: u64) -> RgbImage {
    let mut drawn = seed;
    let mut picture = picture.clone();
    for sample in picture.iter_mut() {
        drawn = drawn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bits = (drawn >> 32) as u32;
        if bits.is_multiple_of(NUDGED) {
            *sample = match bits & NUDGED {
                0 => sample.saturating_add(1),
                _ => sample.saturating_sub(1),
            };
        }
    }
    picture
}

/// The preset without its edit.
fn locating(preset: &Preset) -> Preset {
    let mut preset = preset.clone();
    // Nothing is denoised, and nothing recolored: only the region is looked at.
    preset.edit = None;
    preset.recolor = Some(Recolor::default());
    preset
}

fn region(model: &Model, scene: &Scene, picture: &RgbImage, preset: Preset) -> Result<GrayImage> {
    let request = Request {
        image: picture.clone(),
        instruction: scene.instruction.clone(),
        seed: scene.index,
        preset,
        mask: None,
        scheduler: None,
        full: None,
        beside: false,
    };
    let outcome = limekiln_lime::run(model, request, |_| {})?;
    let (width, height) = picture.dimensions();
    Ok(outcome.roi.unwrap_or_else(|| GrayImage::new(width, height)))
}

/// The rows as a table.
pub fn text(rows: &[Stability], seeds: u64) -> String {
    let mut cells = vec![vec![
        "IoU of one room's regions".to_owned(),
        format!("over {seeds} seeds"),
        "another object recolored".to_owned(),
        "1 sample in 32 moved by 1".to_owned(),
    ]];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.label.clone(),
            shown(row.seeds, 3),
            shown(row.recolored, 3),
            shown(row.nudged, 3),
        ]
    }));
    format!("\n{}", layout(&cells))
}
