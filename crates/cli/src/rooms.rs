//! `limekiln rooms`: rooms to try things on.

use anyhow::{Context, Result, anyhow};
use image::codecs::png::PngEncoder;
use image::{ImageEncoder, RgbImage};
use limekiln_rooms::score::median_color;
use limekiln_rooms::{Color, Room, Style, bench_room};
use serde_json::json;

use crate::args::RoomsArgs;
use crate::output::{self, folder_make, png_write, print};
use crate::settings;

/// Draws the rooms and writes what the arguments ask for.
///
/// # Errors
///
/// When a file can't be written.
pub(crate) fn run(args: &RoomsArgs) -> Result<()> {
    folder_make(&args.out)?;
    let seed = settings::seed(args.seed, "seed");
    let mut lines = String::new();
    for index in 0..args.count {
        let room = bench_room(args.style, seed, u64::from(index));
        let scene =
            scene_write(args, seed, index, &room).with_context(|| format!("room {index}"))?;
        lines.push_str(&scene.to_string());
        lines.push('\n');
    }
    let list = args.out.join("scenes.jsonl");
    output::write(&list, lines.as_bytes())?;
    print(&list.display().to_string());
    Ok(())
}

fn scene_write(args: &RoomsArgs, seed: u64, index: u32, room: &Room) -> Result<serde_json::Value> {
    let pair = &room.pair;
    let target = pair
        .targets
        .first()
        .ok_or_else(|| anyhow!("the edit has no target"))?;
    let name = |what: &str| format!("{index:05}-{what}.png");
    let (mask, colored, after) = (name("mask"), name("colored"), name("target"));
    let drawn = room.draw(args.size);
    let shots = drawn.shots()?;
    let colored_mask = drawn.colored_mask();
    png_write(&args.out.join(&mask), drawn.mask())?;
    png_write(&args.out.join(&after), shots.truth.clone())?;
    png_write(&args.out.join(&colored), colored_mask.clone())?;
    let input = match &shots.jpeg {
        Some(bytes) => {
            let input = format!("{index:05}-input.jpg");
            output::write(&args.out.join(&input), bytes)?;
            input
        }
        None => {
            let input = name("input");
            png_write(&args.out.join(&input), shots.input)?;
            input
        }
    };
    let mut scene = json!({
        "index": index,
        "seed": seed,
        "task": pair.task.name(),
        "instruction": pair.instruction.text,
        "object": target.object.name(),
        "color": target.color.map(Color::name),
        "input": input,
        "mask": mask,
        "colored": colored,
        "target": after,
    });
    if args.style != Style::Plain {
        let (matte, twin) = (name("matte"), name("twin"));
        png_write(&args.out.join(&matte), drawn.object.clone())?;
        output::write(
            &args.out.join(&twin),
            &display_p3(&drawn.before.display_p3())?,
        )?;
        // What a user would ask for to get the true edit; none where nothing of the object is seen.
        let seen = median_color(&shots.truth, &colored_mask).ok();
        scene["style"] = json!(args.style.name());
        scene["matte"] = json!(matte);
        scene["twin"] = json!(twin);
        scene["seen_color"] = json!(seen.map(|rgb| {
            let [r, g, b] = rgb;
            format!("#{r:02X}{g:02X}{b:02X}")
        }));
    }
    Ok(scene)
}

/// A PNG that says its pixels are of Display P3.
fn display_p3(picture: &RgbImage) -> Result<Vec<u8>> {
    let profile = moxcms::ColorProfile::new_display_p3().encode()?;
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_icc_profile(profile)?;
    let (width, height) = picture.dimensions();
    encoder.write_image(
        picture.as_raw(),
        width,
        height,
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}
