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
use limekiln_rooms::{PairOptions, Room, Style, train_room};
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
    /// How rooms are drawn: plain or rich
    #[arg(long, default_value = "plain", value_parser = style)]
    style: Style,
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

/// The second style is for judging alone.
fn style(name: &str) -> Result<Style, String> {
    [Style::Plain, Style::Rich]
        .into_iter()
        .find(|style| style.name() == name)
        .ok_or_else(|| format!("no style {name:?} to train on: there are plain and rich"))
}

fn room(args: &Args, index: u64) -> Room {
    let options = PairOptions {
        entangle: args.entangle,
        ..PairOptions::default()
    };
    train_room(args.style, args.seed, index, &options)
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
            .map(|index| record(&room(args, index), args.size))
            .collect();
        for (bytes, line) in records {
            pixels.write_all(&bytes)?;
            writeln!(lines, "{line}")?;
        }
    }
    pixels.flush()?;
    Ok(lines.flush()?)
}

fn record(room: &Room, size: u32) -> (Vec<u8>, serde_json::Value) {
    let (drawn, pair) = (room.draw(size), &room.pair);
    let mut bytes = drawn.before.srgb().into_raw();
    bytes.extend(drawn.after.srgb().into_raw());
    bytes.extend(pair.region(size).into_raw());
    bytes.extend(room.labels(size));
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

fn sheet(args: &Args) -> RgbImage {
    let size = args.size;
    let mut sheet = RgbImage::new(size * 8, size * 3);
    for column in 0..8 {
        let room = room(args, args.start + column);
        let (drawn, pair) = (room.draw(size), &room.pair);
        eprintln!(
            "{} ({}{})",
            pair.instruction.text,
            pair.task.name(),
            if pair.entangled { ", leaks" } else { "" }
        );
        let region = image::DynamicImage::ImageLuma8(pair.region(size)).into_rgb8();
        for (row, picture) in [drawn.before.srgb(), drawn.after.srgb(), region]
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
