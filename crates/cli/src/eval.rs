//! `limekiln eval rooms`: RoomBench.

use std::time::Instant;

use anyhow::Result;
use limekiln_eval::rooms::{self, Report, Settings};
use limekiln_rooms::SIDE;
use serde_json::json;

use crate::args::EvalRoomsArgs;
use crate::models::Choice;
use crate::output::{Target, print};
use crate::progress::Progress;
use crate::sheet::{Tile, sheet};

/// Rooms shown by `--pictures`.
const SHOWN: usize = 8;

/// Scores the presets and prints the table.
///
/// # Errors
///
/// When the model can't be opened or an edit fails.
pub(crate) fn run(args: &EvalRoomsArgs) -> Result<()> {
    let choice = Choice::new(&args.model)?;
    let target = args
        .pictures
        .as_deref()
        .map(|path| Target::new(path, &[]))
        .transpose()?;
    let model = choice.open()?;
    let settings = Settings {
        count: args.count as usize,
        seed: args.seed,
        presets: args.presets.clone(),
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
        target.write(&pictures(&report).into())?;
    }
    if args.json {
        let json = json!({
            "benchmark": "RoomBench", "count": report.scenes.len(), "seed": args.seed,
            "model": model.name, "fingerprint": model.fingerprint, "device": choice.device.to_string(),
            "seconds": start.elapsed().as_secs_f64(),
            "summary": report.summary, "sweep": report.sweeps,
            "scenes": report.rows.iter().zip(&report.scores).map(|(row, scores)| json!({
                "row": row.label, "preset": row.preset, "true_mask": row.true_mask, "scores": scores,
            })).collect::<Vec<_>>(),
        });
        print(&serde_json::to_string_pretty(&json)?);
    } else {
        print(&report.summary.text());
        report.sweeps.iter().for_each(|sweep| print(&sweep.text()));
    }
    Ok(())
}

/// One row of tiles for each scene: the input, the true mask, then each row's result.
fn pictures(report: &Report) -> image::RgbImage {
    let tile = |picture: &image::RgbImage, caption: &str| Tile {
        picture: picture.clone(),
        caption: vec![caption.to_owned()],
    };
    let tiles: Vec<Tile> = report
        .scenes
        .iter()
        .zip(&report.pictures)
        .flat_map(|(scene, edited)| {
            let mask = image::DynamicImage::from(scene.mask.clone()).into_rgb8();
            let results = report
                .shown
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
    sheet("RoomBench", &tiles, report.shown.len() + 2, 2 * SIDE)
}
