//! RoomBench: recolors one object in each of many drawn rooms that the model has not seen, and scores where the edits
//! went.

use image::RgbImage;
use limekiln_diffusion::model::Model;
use limekiln_lime::canvas::Finish;
use limekiln_rooms::{Style, Task};

use crate::error::{Error, Result};
use crate::finished::Finished;
use crate::full::Full;
use crate::paired::{self, Paired};
use crate::reused::{self, Reused};
use crate::row::{self, Row};
use crate::scene::{Scene, Score, Scored};
use crate::stability::{self, Stability};
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
    /// How the rooms are drawn.
    pub style: Style,
    /// What is asked for.
    pub task: Task,
    /// The side of the rooms' pictures, in pixels, and how results are brought to that size; none: rooms are drawn at the model's
    /// own size, and its pictures are scored as they are.
    pub full: Option<FullSize>,
    /// The presets.
    pub presets: Vec<Row>,
    /// Whether `base` is scored beside each of them.
    pub base: bool,
    /// Steps of each stage of every row, where not the presets' own.
    pub steps: Option<usize>,
    /// The text scales of a sweep, if there is to be one.
    pub sweep_scales: Option<Vec<f64>>,
    /// With how many seeds of locating each room is located to see how steady regions are; none leaves that out.
    pub stability: Option<u64>,
    /// Whether to measure what further edits of each room cost.
    pub reuse: bool,
    /// Rooms scored at the same time, one thread each; by default one for each core, and one on a GPU.
    pub jobs: Option<usize>,
    /// Of how many rooms the pictures are kept.
    pub pictures: usize,
}

/// Pictures larger than the model works at.
#[derive(Clone, Debug)]
pub struct FullSize {
    /// Side of the pictures, in pixels.
    pub side: u32,
    /// How the model's pictures become results; each is scored.
    pub finishes: Vec<Finish>,
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
    /// For each of the first scenes: the input, the true edit, and the results of each of `rows`, one for each finish.
    pub pictures: Vec<Pictures>,
    /// Means of the rows of the table.
    pub summary: Summary,
    /// Means at full size; none where rooms are drawn at the model's size.
    pub finished: Option<Finished>,
    /// The presets that follow the first, each compared with it room by room.
    pub paired: Vec<Paired>,
    /// How steady the presets' regions are, where that was asked for.
    pub stability: Vec<Stability>,
    /// What further edits cost, where that was asked for.
    pub reused: Vec<Reused>,
    /// One for each preset, where the text scale was varied.
    pub sweeps: Vec<Sweep>,
}

/// What a scene's edits look like.
#[derive(Debug)]
pub struct Pictures {
    /// The room as it is.
    pub input: RgbImage,
    /// The room after a perfect edit; none where it is drawn at the model's size.
    pub truth: Option<RgbImage>,
    /// For each row the result of each finish; without finishes, the model's own.
    pub results: Vec<Vec<RgbImage>>,
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
        .filter_map(|index| Scene::new((settings.style, settings.task), settings.seed, index))
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
    // A room is drawn at full size once for all its edits, and forgotten after them.
    let scored = parallel::run(
        scenes.len(),
        jobs,
        |room| {
            score(
                &scenes[room],
                &rows,
                model,
                settings,
                room < settings.pictures,
            )
        },
        |done| observe(done * rows.len(), total),
    )?;
    let floors = parallel::run(
        scenes.len(),
        jobs,
        |index| scenes[index].floor(model),
        |_| {},
    )?;

    let stability = match settings.stability {
        Some(seeds) => stability::measure(model, &scenes, &presets, seeds, jobs)?,
        None => Vec::new(),
    };

    let reused = match settings.reuse {
        true => reused::measure(model, &scenes, jobs)?,
        false => Vec::new(),
    };

    let mut scores = vec![Vec::new(); rows.len()];
    let mut pictures = Vec::new();
    for (of_room, shown) in scored {
        for (scores, score) in scores.iter_mut().zip(of_room) {
            scores.push(score);
        }
        pictures.extend(shown);
    }
    let compared: Vec<(&Row, &[Score])> = presets
        .iter()
        .filter_map(|row| Some((row, scores.get(row::position(&rows, row)?)?.as_slice())))
        .collect();
    Ok(Report {
        paired: paired::compare(&compared),
        stability,
        reused,
        summary: Summary::new(&shown, &rows, &scores, &floors),
        finished: settings
            .full
            .as_ref()
            .map(|full| Finished::new(full.side, &shown, &rows, &scores)),
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

/// Every row's score of one scene, and the pictures where they are wanted.
fn score(
    scene: &Scene,
    rows: &[Row],
    model: &Model,
    settings: &Settings,
    pictures: bool,
) -> Result<(Vec<Score>, Option<Pictures>)> {
    let failed = |row: &Row, source| Error::Edit {
        room: scene.index,
        row: row.label.clone(),
        source: Box::new(source),
    };
    let full = match &settings.full {
        Some(full) => Some((Full::new(scene, full.side)?, full.finishes.as_slice())),
        None => None,
    };
    let (full, finishes) = match &full {
        Some((full, finishes)) => (Some(full), *finishes),
        None => (None, &[][..]),
    };
    let (mut scores, mut all) = (Vec::new(), Vec::new());
    for row in rows {
        let Scored { score, results } = scene
            .score(model, row, full, finishes)
            .map_err(|error| failed(row, error))?;
        scores.push(score);
        if pictures {
            all.push(results);
        }
    }
    let pictures = pictures.then(|| Pictures {
        input: full.map_or_else(|| scene.input.clone(), |full| full.input().clone()),
        truth: full.map(|full| full.true_edit().clone()),
        results: all,
    });
    Ok((scores, pictures))
}

fn jobs_default(model: &Model) -> usize {
    if model.device.is_cpu() {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        1
    }
}
