//! RoomBench: recolors one object in each of many drawn rooms that the model has not seen, and scores where the edits
//! went.

use image::RgbImage;
use limekiln_diffusion::model::Model;
use limekiln_rooms::SIDE;

use crate::error::{Error, Result};
use crate::row::{self, Row};
use crate::scene::{Scene, Score};
use crate::sweep::Sweep;
use crate::table::Summary;
use crate::{parallel, sweep};

/// What is scored, and on what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many rooms.
    pub count: usize,
    /// Which rooms; the noise is seeded with the room's number.
    pub seed: u64,
    /// The presets.
    pub presets: Vec<Row>,
    /// Whether `base` is scored beside each of them.
    pub base: bool,
    /// Steps of each stage of every row, where not the presets' own.
    pub steps: Option<usize>,
    /// The text scales of a sweep, if there is to be one.
    pub sweep_scales: Option<Vec<f64>>,
    /// Rooms scored at the same time, one thread each; by default one for each core, and one on a GPU.
    pub jobs: Option<usize>,
    /// Of how many rooms the pictures are kept.
    pub pictures: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// The rooms, in order.
    pub scenes: Vec<Scene>,
    /// Rows of the table; the first is `base`, where it is scored.
    pub shown: Vec<Row>,
    /// All rows: those of the table, then those of the sweep alone.
    pub rows: Vec<Row>,
    /// For each of `rows`, the scores of every scene.
    pub scores: Vec<Vec<Score>>,
    /// For each of the first scenes, the result of each of `rows`.
    pub pictures: Vec<Vec<RgbImage>>,
    /// Means of the rows of the table.
    pub summary: Summary,
    /// One for each preset, where the text scale was varied.
    pub sweeps: Vec<Sweep>,
}

/// Scores the rows. Calls `observe` with the edits that are done and all there are, from any thread.
///
/// # Errors
///
/// The first edit that fails.
pub fn run(
    model: &Model,
    settings: &Settings,
    observe: impl Fn(usize, usize) + Sync,
) -> Result<Report> {
    let scenes: Vec<Scene> = (0..)
        .filter_map(|index| Scene::new(settings.seed, index, SIDE))
        .take(settings.count)
        .collect();
    let presets = row::with_steps(&settings.presets, settings.steps);
    let scales = settings.sweep_scales.as_deref().unwrap_or_default();
    let shown = match settings.base {
        true => row::rows(&presets, settings.steps),
        false => row::distinct(presets.iter().cloned()),
    };
    let swept = sweep::rows(&presets, scales);
    let rows = row::distinct(shown.iter().cloned().chain(swept));
    let jobs = settings.jobs.unwrap_or_else(|| jobs_default(model));

    let total = scenes.len() * rows.len();
    observe(0, total);
    let scored = parallel::run(
        total,
        jobs,
        |index| {
            let (room, row) = (index / rows.len(), &rows[index % rows.len()]);
            let (score, picture) = score(&scenes[room], row, model)?;
            Ok((score, Some(picture).filter(|_| room < settings.pictures)))
        },
        |done| observe(done, total),
    )?;
    let floors = parallel::run(
        scenes.len(),
        jobs,
        |index| scenes[index].floor(model),
        |_| {},
    )?;

    let mut scores = vec![Vec::new(); rows.len()];
    let mut pictures = vec![Vec::new(); scenes.len().min(settings.pictures)];
    for (index, (score, picture)) in scored.into_iter().enumerate() {
        scores[index % rows.len()].push(score);
        if let Some(picture) = picture {
            pictures[index / rows.len()].push(picture);
        }
    }
    Ok(Report {
        summary: Summary::new(&shown, &rows, &scores, &floors),
        sweeps: match scales {
            [] => Vec::new(),
            scales => sweep::compare(&presets, scales, &rows, &scores),
        },
        scenes,
        shown,
        rows,
        scores,
        pictures,
    })
}

fn score(scene: &Scene, row: &Row, model: &Model) -> Result<(Score, RgbImage)> {
    scene.score(model, row).map_err(|source| Error::Edit {
        room: scene.index,
        row: row.label.clone(),
        source: Box::new(source),
    })
}

fn jobs_default(model: &Model) -> usize {
    if model.device.is_cpu() {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        1
    }
}
