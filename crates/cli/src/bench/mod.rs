//! `limekiln eval rooms`: RoomBench.
//!
//! # Layout
//!
//! - `row`: what is scored
//! - `scene`: one room, and one edit of it scored
//! - `parallel`: rooms side by side
//! - `table`: scores as means, printed
//! - `sweep`: change outside at equal color success
//! - `stats`: means with their noise, curves

mod parallel;
mod row;
mod scene;
mod stats;
mod sweep;
mod table;

use std::time::Instant;

use anyhow::{Context, Result};
use limekiln_diffusion::model::Model;
use serde_json::json;

use crate::args::BenchArgs;
use crate::models::Choice;
use crate::output::{Target, print};
use crate::progress::Progress;
use crate::sheet::{Tile, sheet};
use limekiln_rooms::SIDE;
use row::Row;
use scene::{Scene, Score};

/// Rooms shown by `--pictures`.
const SHOWN: usize = 8;

/// Scores the presets and prints the table.
///
/// # Errors
///
/// When the model can't be opened or an edit fails.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    let choice = Choice::new(&args.model)?;
    let target = args
        .pictures
        .as_deref()
        .map(|path| Target::new(path, &[]))
        .transpose()?;
    let model = choice.open()?;
    let scenes: Vec<Scene> = (0..)
        .filter_map(|index| Scene::new(args.seed, index, SIDE))
        .take(args.count as usize)
        .collect();
    let steps = args.steps.map(usize::from);
    let presets = row::with_steps(&args.presets, steps);
    let main = row::rows(&presets, steps);
    let swept = if args.sweep {
        sweep::rows(&presets, &args.sweep_scales)
    } else {
        Vec::new()
    };
    let rows = row::distinct(main.iter().chain(&swept).cloned());
    let jobs = jobs(args, &model);

    let start = Instant::now();
    let results = score_all(&model, &scenes, &rows, jobs)?;
    let floors = parallel::run(
        scenes.len(),
        jobs,
        |index| scenes[index].floor(&model),
        |_| {},
    )?;
    let scores: Vec<Vec<Score>> = results.by_row;
    let summary = table::Summary::new(&main, &rows, &scores, &floors);
    let sweeps = if args.sweep {
        sweep::compare(&presets, &args.sweep_scales, &rows, &scores)
    } else {
        Vec::new()
    };
    if let Some(target) = target {
        target.write(&pictures(&scenes, &main, &results.pictures).into())?;
    }
    if args.json {
        let report = json!({
            "benchmark": "RoomBench", "count": scenes.len(), "seed": args.seed,
            "model": model.name, "fingerprint": model.fingerprint, "device": choice.device.to_string(),
            "seconds": start.elapsed().as_secs_f64(),
            "summary": summary, "sweep": sweeps,
            "scenes": rows.iter().zip(&scores).map(|(row, scores)| json!({
                "row": row.label, "preset": row.preset, "true_mask": row.true_mask, "scores": scores,
            })).collect::<Vec<_>>(),
        });
        print(&serde_json::to_string_pretty(&report)?);
    } else {
        print(&summary.text());
        sweeps.iter().for_each(|sweep| print(&sweep.text()));
    }
    Ok(())
}

fn jobs(args: &BenchArgs, model: &Model) -> usize {
    let cores = || {
        if model.device.is_cpu() {
            std::thread::available_parallelism().map_or(1, usize::from)
        } else {
            1
        }
    };
    args.jobs.map_or_else(cores, usize::from)
}

struct Results {
    /// For each row, the scores of every scene in order.
    by_row: Vec<Vec<Score>>,
    /// For each of the first scenes, the picture of every row.
    pictures: Vec<Vec<image::RgbImage>>,
}

fn score_all(model: &Model, scenes: &[Scene], rows: &[Row], jobs: usize) -> Result<Results> {
    let total = scenes.len() * rows.len();
    let progress = Progress::new("");
    let show = |done: usize| progress.count("edits", done, total);
    show(0);
    let scored = parallel::run(
        total,
        jobs,
        |index| {
            let (scene, row) = (&scenes[index / rows.len()], &rows[index % rows.len()]);
            let scored = scene
                .score(model, row)
                .with_context(|| format!("room {}, {}", scene.index, row.label))?;
            Ok((
                scored.0,
                Some(scored.1).filter(|_| index / rows.len() < SHOWN),
            ))
        },
        show,
    );
    progress.finish();
    let mut results = Results {
        by_row: vec![Vec::new(); rows.len()],
        pictures: vec![Vec::new(); scenes.len().min(SHOWN)],
    };
    for (index, (score, picture)) in scored?.into_iter().enumerate() {
        results.by_row[index % rows.len()].push(score);
        if let (Some(pictures), Some(picture)) =
            (results.pictures.get_mut(index / rows.len()), picture)
        {
            pictures.push(picture);
        }
    }
    Ok(results)
}

/// One row of tiles for each scene: the input, the true mask, then each row's result.
fn pictures(scenes: &[Scene], rows: &[Row], edited: &[Vec<image::RgbImage>]) -> image::RgbImage {
    let tile = |picture: &image::RgbImage, caption: &str| Tile {
        picture: picture.clone(),
        caption: vec![caption.to_owned()],
    };
    let tiles: Vec<Tile> = scenes
        .iter()
        .zip(edited)
        .flat_map(|(scene, edited)| {
            let mask = image::DynamicImage::from(scene.mask.clone()).into_rgb8();
            let results = rows
                .iter()
                .zip(edited)
                .map(|(row, picture)| tile(picture, &row.label));
            [
                tile(&scene.input, &scene.instruction),
                tile(&mask, "true mask"),
            ]
            .into_iter()
            .chain(results)
            .collect::<Vec<_>>()
        })
        .collect();
    sheet("RoomBench", &tiles, rows.len() + 2, 2 * SIDE)
}
