//! Writes benchmark rooms to look at: input, perfect edit and both masks of each, side by side.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Parser;
use image::{DynamicImage, RgbImage, imageops};
use limekiln_rooms::{Style, bench_room};

#[derive(Parser)]
struct Args {
    style: String,
    out: PathBuf,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long, default_value_t = 0)]
    first: u64,
    #[arg(long, default_value_t = 4)]
    count: u64,
    #[arg(long, default_value_t = 512)]
    size: u32,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let style = Style::ALL
        .into_iter()
        .find(|style| style.name() == args.style);
    let style = style.ok_or_else(|| anyhow!("no style {:?}", args.style))?;
    let mut sheet = RgbImage::new(3 * args.size, args.size * args.count as u32);
    for row in 0..args.count {
        let start = std::time::Instant::now();
        let room = bench_room(style, args.seed, args.first + row);
        let drawn = room.draw(args.size);
        let shots = drawn.shots()?;
        eprintln!(
            "{}: {:?}, jpeg {}",
            room.pair.instruction.text,
            start.elapsed(),
            shots.jpeg.is_some()
        );
        let mut masks = drawn.mask();
        for (value, colored) in masks.iter_mut().zip(drawn.colored_mask().iter()) {
            *value = *value / 2 + colored / 2;
        }
        let masks = DynamicImage::from(masks).into_rgb8();
        for (column, picture) in [&shots.input, &shots.truth, &masks].into_iter().enumerate() {
            imageops::replace(
                &mut sheet,
                picture,
                column as i64 * i64::from(args.size),
                row as i64 * i64::from(args.size),
            );
        }
    }
    Ok(sheet.save(args.out)?)
}
