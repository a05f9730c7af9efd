//! Writes training pairs for a trainer outside this workspace.
//!
//! `pairs.u8` holds, for each pair in order, the picture before ([size, size, 3] u8), the picture after (the same), the
//! region of the edit ([size, size] u8, 0 or 255) and what each pixel of the picture before shows ([size, size] u8: 0
//! wall, 1 floor, 2 and on the objects in `Object::ALL`'s order); `pairs.jsonl` holds a line of JSON for each pair.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use image::{RgbImage, imageops};
use limekiln_rooms::{Object, Pair, PairOptions, Part, Scene, draw, mask, train_pair};
use rayon::prelude::*;
use serde_json::json;

/// Pairs drawn before they are written: 67 MB at 128 pixels.
const CHUNK: u64 = 512;

#[derive(Parser)]
struct Args {
    /// How many pairs to write
    #[arg(long)]
    count: u64,
    #[arg(long)]
    seed: u64,
    /// The first pair's index
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// The side of a picture in pixels
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=2048))]
    size: u32,
    /// The share of pairs whose edit leaks
    #[arg(long, default_value_t = PairOptions::default().entangle)]
    entangle: f64,
    /// The folder for pairs.u8 and pairs.jsonl
    #[arg(long, required_unless_present = "sheet")]
    out: Option<PathBuf>,
    /// Also draw the first 8 pairs (before, after, region) into this PNG
    #[arg(long)]
    sheet: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(path) = &args.sheet {
        sheet(&args)
            .save(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    args.out.as_deref().map_or(Ok(()), |out| export(&args, out))
}

fn pair(args: &Args, index: u64) -> Pair {
    train_pair(
        args.seed,
        index,
        &PairOptions {
            entangle: args.entangle,
            ..PairOptions::default()
        },
    )
}

fn export(args: &Args, out: &Path) -> Result<()> {
    let create = |name: &str| {
        let path = out.join(name);
        File::create(&path)
            .map(BufWriter::new)
            .with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let (mut pixels, mut lines) = (create("pairs.u8")?, create("pairs.jsonl")?);
    for done in (0..args.count).step_by(CHUNK as usize) {
        let chunk = args.start + done..args.start + args.count.min(done + CHUNK);
        let records: Vec<_> = chunk
            .into_par_iter()
            .map(|index| record(&pair(args, index), args.size))
            .collect();
        for (bytes, line) in records {
            pixels.write_all(&bytes)?;
            writeln!(lines, "{line}")?;
        }
    }
    pixels.flush()?;
    Ok(lines.flush()?)
}

fn record(pair: &Pair, size: u32) -> (Vec<u8>, serde_json::Value) {
    let mut bytes = draw(&pair.before, size).into_raw();
    bytes.extend(draw(&pair.after, size).into_raw());
    bytes.extend(pair.region(size).into_raw());
    bytes.extend(labels(&pair.before, size));
    let targets: Vec<_> = pair
        .targets
        .iter()
        .map(|target| json!({"object": target.object.name(), "color": target.color.map(|color| color.name())}))
        .collect();
    let line = json!({
        "instruction": pair.instruction.text,
        "task": pair.task.name(),
        "content": pair.instruction.content,
        "targets": targets,
        "entangled": pair.entangled,
    });
    (bytes, line)
}

/// What each pixel shows: 0 wall, 1 floor, 2 and on the objects.
fn labels(scene: &Scene, size: u32) -> Vec<u8> {
    let mut labels: Vec<u8> = (0..size * size)
        .map(|at| u8::from((at / size) as f32 + 0.5 > scene.horizon * size as f32))
        .collect();
    for (class, object) in (2..).zip(Object::ALL) {
        let shown = mask(scene, object, Part::Whole, size);
        for (label, _) in labels
            .iter_mut()
            .zip(shown.iter())
            .filter(|(_, shown)| **shown == 255)
        {
            *label = class;
        }
    }
    labels
}

fn sheet(args: &Args) -> RgbImage {
    let size = args.size;
    let mut sheet = RgbImage::new(size * 8, size * 3);
    for column in 0..8 {
        let pair = pair(args, args.start + column);
        eprintln!(
            "{} ({}{})",
            pair.instruction.text,
            pair.task.name(),
            if pair.entangled { ", leaks" } else { "" }
        );
        let region = image::DynamicImage::ImageLuma8(pair.region(size)).into_rgb8();
        for (row, picture) in [draw(&pair.before, size), draw(&pair.after, size), region]
            .iter()
            .enumerate()
        {
            imageops::replace(
                &mut sheet,
                picture,
                column as i64 * i64::from(size),
                row as i64 * i64::from(size),
            );
        }
    }
    sheet
}
