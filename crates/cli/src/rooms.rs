//! `limekiln rooms`: rooms to try things on.

use anyhow::{Context, Result, anyhow};
use limekiln_rooms::{Pair, bench_pair, draw};
use serde_json::json;

use crate::args::RoomsArgs;
use crate::output::{self, folder_make, png_write, print};

/// Draws the rooms and writes what the arguments ask for.
///
/// # Errors
///
/// When a file can't be written.
pub(crate) fn run(args: &RoomsArgs) -> Result<()> {
    folder_make(&args.out)?;
    let mut lines = String::new();
    for index in 0..args.count {
        let pair = bench_pair(args.seed, u64::from(index));
        let scene = scene_write(args, index, &pair).with_context(|| format!("room {index}"))?;
        lines.push_str(&scene.to_string());
        lines.push('\n');
    }
    let list = args.out.join("scenes.jsonl");
    output::write(&list, lines.as_bytes())?;
    print(&list.display().to_string());
    Ok(())
}

fn scene_write(args: &RoomsArgs, index: u32, pair: &Pair) -> Result<serde_json::Value> {
    let target = pair
        .targets
        .first()
        .ok_or_else(|| anyhow!("the edit has no target"))?;
    let name = |what: &str| format!("{index:05}-{what}.png");
    let (input, mask, colored, after) =
        (name("input"), name("mask"), name("colored"), name("target"));
    png_write(&args.out.join(&input), draw(&pair.before, args.size))?;
    png_write(&args.out.join(&mask), pair.region(args.size))?;
    png_write(&args.out.join(&colored), pair.colored(args.size))?;
    png_write(&args.out.join(&after), draw(&pair.after, args.size))?;
    Ok(json!({
        "index": index,
        "seed": args.seed,
        "task": pair.task.name(),
        "instruction": pair.instruction.text,
        "object": target.object.name(),
        "color": target.color.map(limekiln_rooms::Color::name),
        "input": input,
        "mask": mask,
        "colored": colored,
        "target": after,
    }))
}
