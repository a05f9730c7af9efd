//! `limekiln demo`: edits a drawn room and puts every stage on one sheet.

use std::time::Instant;

use anyhow::{Result, anyhow};
use image::RgbImage;
use limekiln_diffusion::model::Model;
use limekiln_lime::{Outcome, Preset, Request};
use limekiln_pictures::paint;
use limekiln_rooms::{Color, Object, SIDE, Scene, bench_pair, draw, score};

use crate::args::DemoArgs;
use crate::models::Choice;
use crate::progress::Progress;
use crate::settings::{self, Usage};
use crate::sheet::{Tile, sheet};
use crate::target::Target;

/// Width of a tile on the sheet, in pixels.
const TILE: u32 = 320;

/// Draws a room, edits it plainly and with the method, writes the sheet and prints its path.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    let color = color(&args.color)?;
    let preset = settings::preset(&args.preset)?;
    if preset.edit.is_none() {
        return Err(Usage(format!(
            "--preset: the demo shows what the model makes, and {} denoises nothing: choose another, or try `limekiln edit`",
            preset.name
        ))
        .into());
    }
    let choice = Choice::new(&args.model)?;
    let target = Target::new(&args.output, &[])?;
    let scene = room(settings::seed(args.room, "room"), color)?;
    let seed = settings::seed(args.seed, "seed");
    let model = choice.open()?;

    let start = Instant::now();
    let input = draw(&scene, SIDE);
    let edit = |preset: &Preset| edit(&model, &input, color, seed, preset);
    let mut plain = Preset::base();
    if let (Some(edit), Some(steps)) = (&mut plain.edit, args.preset.steps) {
        edit.steps = usize::from(steps);
    }
    let base = edit(&plain)?;
    let lime = edit(&preset)?;
    let mask = limekiln_rooms::mask(&scene, Object::Sofa, limekiln_rooms::Part::Whole, SIDE);
    let outside = |picture: &RgbImage| score::change_outside(&input, picture, &mask);
    // What is shown is the model's own picture: the finish `none`.
    let title = format!(
        "limekiln: {:?}, {}, finish none",
        instruction(color),
        preset.name
    );
    let tiles = tiles(
        &input,
        &base,
        &lime,
        &preset,
        outside(made(&base)?)?,
        outside(made(&lime)?)?,
    );
    let path = target.write_picture(&sheet(&title, &tiles, 3, TILE).into())?;
    eprintln!("both edits took {:.1} s", start.elapsed().as_secs_f64());
    target.say(&path, None);
    Ok(())
}

fn instruction(color: Color) -> String {
    format!("make the sofa {}", color.name())
}

fn color(name: &str) -> Result<Color, Usage> {
    let named = |color: &Color| color.name() == name.to_lowercase();
    let names = || Color::ALL.map(Color::name).join(", ");
    Color::ALL
        .into_iter()
        .find(named)
        .ok_or_else(|| Usage(format!("--color: no color {name:?}: there are {}", names())))
}

/// The `nth` of the rooms whose sofa has another color than `color`.
fn room(nth: u64, color: Color) -> Result<Scene> {
    let fits = |scene: &Scene| {
        scene
            .items
            .iter()
            .any(|item| item.object == Object::Sofa && item.color != color)
    };
    let rooms = (0..=u64::MAX)
        .map(|index| bench_pair(0, index).before)
        .filter(fits);
    let nth = usize::try_from(nth.min(1000))?;
    rooms
        .take(1001)
        .nth(nth)
        .ok_or_else(|| anyhow!("there is no such room"))
}

fn edit(
    model: &Model,
    input: &RgbImage,
    color: Color,
    seed: u64,
    preset: &Preset,
) -> Result<Outcome> {
    let request = Request {
        image: input.clone(),
        instruction: instruction(color),
        seed,
        preset: preset.clone(),
        mask: None,
        scheduler: None,
        full: None,
        beside: false,
    };
    let mut progress = Progress::new(&preset.name);
    let outcome = limekiln_lime::run(model, request, |edit| progress.edit(edit));
    progress.finish();
    Ok(outcome?)
}

/// The model's picture.
fn made(outcome: &Outcome) -> Result<&RgbImage> {
    let decoded = outcome.decoded.as_ref();
    Ok(&decoded
        .ok_or_else(|| anyhow!("nothing was denoised"))?
        .image)
}

fn tiles(
    input: &RgbImage,
    base: &Outcome,
    lime: &Outcome,
    preset: &Preset,
    leak: f64,
    kept: f64,
) -> Vec<Tile> {
    let size = input.dimensions();
    let empty = || RgbImage::from_pixel(size.0, size.1, image::Rgb([235; 3]));
    let tile = |picture: RgbImage, one: &str, two: String| Tile {
        picture,
        caption: vec![one.to_owned(), two],
    };
    let segments = lime
        .segments
        .as_ref()
        .map(|s| paint::segments(&s.labels, s.side, size));
    let attention = lime
        .attention
        .as_ref()
        .map(|map| paint::heat(&map.values, map.side, size));
    let roi = lime.roi.as_ref().map(|roi| paint::overlay(input, roi));
    let share = lime
        .roi
        .as_ref()
        .map_or(0.0, |roi| 100.0 * score::share(roi));
    let clusters = lime
        .segments
        .as_ref()
        .map_or(0, |segments| segments.clusters);
    let scale = |preset: &Preset| {
        let scale = preset.edit.as_ref().map(|edit| edit.scales.text);
        scale.map_or_else(String::new, |scale| scale.to_string())
    };
    let picture = |outcome: &Outcome| made(outcome).map_or_else(|_| empty(), Clone::clone);
    let plain = scale(&Preset::base());
    vec![
        tile(input.clone(), "input", String::new()),
        tile(
            segments.unwrap_or_else(empty),
            "segments",
            format!("{clusters} clusters"),
        ),
        tile(attention.unwrap_or_else(empty), "attention", String::new()),
        tile(
            roi.unwrap_or_else(empty),
            "RoI",
            format!("{share:.0} % of the picture"),
        ),
        tile(
            picture(base),
            &format!("base, s_T {plain}"),
            format!("outside: {leak:.1}/255"),
        ),
        tile(
            picture(lime),
            &format!("LIME, s_T {}", scale(preset)),
            format!("outside: {kept:.1}/255"),
        ),
    ]
}
