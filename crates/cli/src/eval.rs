//! `limekiln eval rooms`: RoomBench.

use std::time::Instant;

use anyhow::Result;
use limekiln_eval::rooms::{self, FullSize, Report, Settings};
use limekiln_eval::{paired, reused, stability};
use limekiln_rooms::{SIDE, Style};
use serde_json::json;

use crate::args::EvalRoomsArgs;
use crate::models::Choice;
use crate::output::print;
use crate::progress::Progress;
use crate::settings::{self, Usage};
use crate::sheet::{Tile, sheet};
use crate::target::{Target, is_stdout};

/// Rooms shown by `--pictures`.
const SHOWN: usize = 8;

/// Scores the presets and prints the table.
///
/// # Errors
///
/// When the model can't be opened or an edit fails.
pub(crate) fn run(args: &EvalRoomsArgs) -> Result<()> {
    if args.pictures.as_deref().is_some_and(is_stdout) {
        return Err(Usage("--pictures: the table goes to stdout: name a file".to_owned()).into());
    }
    let choice = Choice::new(&args.model)?;
    let target = args
        .pictures
        .as_deref()
        .map(|path| Target::new(path, &[]))
        .transpose()?;
    let seed = settings::seed(args.seed, "seed");
    let model = choice.open()?;
    let settings = Settings {
        count: args.count as usize,
        seed,
        style: style(args),
        task: args.task,
        full: args.picture_size.map(|side| FullSize {
            side,
            finishes: args.finish.clone(),
        }),
        presets: args
            .presets
            .iter()
            .flat_map(|rows| rows.0.clone())
            .collect(),
        stability: args.stability,
        reuse: args.reuse,
        base: !args.no_base,
        steps: args.steps.map(usize::from),
        sweep_scales: args.sweep.then(|| args.sweep_scales.clone()),
        jobs: args.jobs.map(usize::from),
        pictures: if target.is_some() { SHOWN } else { 0 },
    };

    let start = Instant::now();
    let progress = Progress::new("");
    let report = rooms::run(&model, &settings, |done, total| {
        progress.count("edits", done, total);
    });
    progress.finish();
    let report = report?;
    if let Some(target) = target {
        target.write_picture(&pictures(&report, args).into())?;
    }
    if args.json {
        let json = json!({
            "benchmark": "RoomBench", "style": style(args).name(), "task": args.task.name(), "picture_size": args.picture_size, "count": report.scenes.len(), "seed": seed,
            "model": model.name, "fingerprint": model.fingerprint, "device": choice.device.to_string(),
            "seconds": start.elapsed().as_secs_f64(),
            "summary": report.summary, "finished": report.finished, "sweep": report.sweeps, "paired": report.paired,
            "stability": report.stability, "reused": report.reused,
            "scenes": report.rows.iter().zip(&report.scores).map(|(row, scores)| json!({
                "row": row.label, "preset": row.preset, "true_mask": row.true_mask, "rough": row.rough, "color": row.color, "object_words": row.object_words,
                "scores": scores,
            })).collect::<Vec<_>>(),
        });
        print(&serde_json::to_string_pretty(&json)?);
    } else {
        print(&report.summary.text());
        if args.paired && !report.paired.is_empty() {
            print(&paired::text(&report.paired));
        }
        if let Some(seeds) = args.stability {
            print(&stability::text(&report.stability, seeds));
        }
        if args.reuse {
            print(&reused::text(&report.reused));
        }
        report
            .finished
            .iter()
            .for_each(|finished| print(&finished.text()));
        report.sweeps.iter().for_each(|sweep| print(&sweep.text()));
    }
    Ok(())
}

fn style(args: &EvalRoomsArgs) -> Style {
    if args.rich { Style::Rich } else { args.style }
}

/// One row of tiles for each scene: the input, the true mask, the true edit where there is one, then each row's results.
fn pictures(report: &Report, args: &EvalRoomsArgs) -> image::RgbImage {
    let tile = |picture: &image::RgbImage, caption: &str| Tile {
        picture: picture.clone(),
        caption: vec![caption.to_owned()],
    };
    let finishes: Vec<&str> = match report.finished.as_ref() {
        Some(finished) => finished.rows.iter().map(|line| line.finish).collect(),
        None => Vec::new(),
    };
    let mut rows: Vec<Vec<Tile>> = Vec::new();
    for (scene, pictures) in report.scenes.iter().zip(&report.pictures) {
        let mask = image::DynamicImage::from(scene.mask.clone()).into_rgb8();
        let mut tiles = vec![
            tile(&pictures.input, &scene.instruction),
            tile(&mask, "true mask"),
        ];
        tiles.extend(pictures.truth.iter().map(|truth| tile(truth, "true edit")));
        for (row, results) in report.shown.iter().zip(&pictures.results) {
            for (at, picture) in results.iter().enumerate() {
                let caption = match finishes.get(at) {
                    Some(finish) => format!("{}, {finish}", row.label),
                    None => row.label.clone(),
                };
                tiles.push(tile(picture, &caption));
            }
        }
        rows.push(tiles);
    }
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1);
    let tiles: Vec<Tile> = rows.into_iter().flatten().collect();
    let width = if args.picture_size.is_some() {
        4 * SIDE
    } else {
        2 * SIDE
    };
    sheet("RoomBench", &tiles, columns, width)
}
