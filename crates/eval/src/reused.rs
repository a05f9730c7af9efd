//! What further edits of a picture cost, beside the first: a second instruction, the same object in another color, a further color of
//! a recolor. Over the first edit of `fast` as it was when a guided run located (half of 10 steps) and the whole picture was edited.

use std::time::Instant;

use image::RgbImage;
use limekiln_diffusion::model::Model;
use limekiln_lime::canvas::Finish;
use limekiln_lime::known::Kind;
use limekiln_lime::preset::LocateFrom;
use limekiln_lime::{Edit, Known, Outcome, Preset, Request, words};
use limekiln_pictures::resize;
use limekiln_rooms::{Color, SIDE, score};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::full::{self, Full};
use crate::parallel;
use crate::row::Row;
use crate::scene::Scene;
use crate::stats::Mean;
use crate::text::{layout, shown};

/// Side of the pictures that are recolored, in pixels: a megapixel.
const RECOLORED: u32 = 1024;
/// Another instruction on the same picture.
const OTHER: &str = "make the wall brighter";

/// One kind of edit, over all rooms.
#[derive(Debug, Serialize)]
pub struct Reused {
    /// What it is.
    pub label: &'static str,
    /// Seconds of an edit; a recolor's without decoding and encoding files.
    pub seconds: Option<Mean>,
    /// Lanes that the U-Net computed.
    pub lanes: Option<Mean>,
    /// Its seconds as a share of those of the first row.
    pub seconds_share: Option<f64>,
    /// Its lanes as such a share.
    pub lanes_share: Option<f64>,
    /// Overlap of the region with the true mask.
    pub iou: Option<Mean>,
    /// Share of edits after which the object has the color asked for.
    pub success: Option<Mean>,
}

/// Of one room.
struct Cost {
    seconds: f64,
    lanes: f64,
    iou: Option<f64>,
    success: bool,
}

const LABELS: [&str; 6] = [
    "fast of before, first edit",
    "fast, first edit",
    "a second instruction",
    "the same object, another color",
    "recolor at 1 megapixel, first color",
    "recolor, a further color",
];

/// Edits each room in all these ways.
pub(crate) fn measure(model: &Model, scenes: &[Scene], jobs: usize) -> Result<Vec<Reused>> {
    let work = |index: usize| {
        let scene: &Scene = &scenes[index];
        room(model, scene).map_err(|source| Error::Edit {
            room: scene.index,
            row: "reuse".to_owned(),
            source: Box::new(source),
        })
    };
    let rooms = parallel::run(scenes.len(), jobs, work, |_| {})?;
    let lines = LABELS.iter().enumerate().map(|(at, &label)| {
        let of = |value: fn(&Cost) -> Option<f64>| {
            Mean::of(rooms.iter().filter_map(|costs| value(&costs[at])))
        };
        Reused {
            label,
            seconds: of(|cost| Some(cost.seconds)),
            lanes: of(|cost| Some(cost.lanes)),
            seconds_share: None,
            lanes_share: None,
            iou: of(|cost| cost.iou),
            success: of(|cost| Some(f64::from(u8::from(cost.success)))),
        }
    });
    let mut lines: Vec<Reused> = lines.collect();
    let share = |one: &Option<Mean>, of: &Option<Mean>| {
        Some(one.as_ref()?.mean / of.as_ref().filter(|of| of.mean > 0.0)?.mean)
    };
    for at in (0..lines.len()).rev() {
        lines[at].seconds_share = share(&lines[at].seconds, &lines[0].seconds);
        lines[at].lanes_share = share(&lines[at].lanes, &lines[0].lanes);
    }
    Ok(lines)
}

/// `fast` as it was before it located in one call.
fn before() -> Preset {
    let mut preset = Preset::fast();
    if let Some(locate) = &mut preset.locate {
        (locate.from, locate.seed) = (LocateFrom::Noise, None);
    }
    if let Some(edit) = &mut preset.edit {
        edit.window = None;
    }
    preset
}

fn room(model: &Model, scene: &Scene) -> Result<[Cost; 6]> {
    let edit =
        |preset: Preset, words: &str, known: Known| edited(model, scene, preset, words, known);
    let (first_of_before, _) = edit(before(), &scene.instruction, Known::default())?;
    let (first, _) = edit(Preset::fast(), &scene.instruction, Known::default())?;
    let (_, other) = edit(Preset::fast(), OTHER, Known::default())?;
    let picture = [Kind::Latents, Kind::Segments];
    let known = kept(&other.made, &picture)?;
    let (second, _) = edit(Preset::fast(), &scene.instruction, known)?;
    let in_another = in_another_color(scene);
    let (_, colored) = edit(Preset::fast(), &in_another, Known::default())?;
    // Where the words do not tell the color, the region is found anew.
    let object = |words: &str| words::object(words, false);
    let kinds = match object(&in_another) {
        Some(words) if Some(&words) == object(&scene.instruction).as_ref() => &Kind::KEPT[..],
        _ => &picture,
    };
    let (again, _) = edit(
        Preset::fast(),
        &scene.instruction,
        kept(&colored.made, kinds)?,
    )?;

    let row = Row::new("recolor", Preset::recolor());
    let full = Full::new(scene, RECOLORED)?;
    let (recolor, made) = recolored(model, scene, &full, &row, Known::default())?;
    let (further, _) = recolored(model, scene, &full, &row, kept(&made, &Kind::KEPT)?)?;
    Ok([first_of_before, first, second, again, recolor, further])
}

/// The instruction with another color than it asks for.
fn in_another_color(scene: &Scene) -> String {
    let asked = Color::ALL
        .iter()
        .map(|color| color.name())
        .chain(["grey"])
        .find(|name| scene.instruction.ends_with(name));
    match asked {
        Some(asked) => {
            let other = if asked == "red" { "blue" } else { "red" };
            let head = scene.instruction.len() - asked.len();
            format!("{}{other}", &scene.instruction[..head])
        }
        None => scene.instruction.clone(),
    }
}

/// What an edit leaves for others, of these kinds and as it is kept.
fn kept(made: &Known, kinds: &[Kind]) -> Result<Known> {
    let mut known = Known::default();
    for (kind, bytes) in made.to_bytes()? {
        if kinds.contains(&kind) {
            known.read(kind, &bytes)?;
        }
    }
    Ok(known)
}

fn finished(model: &Model, request: Request, known: Known) -> Result<Outcome> {
    let mut edit = Edit::with(model, request, known)?;
    while !edit.is_done() {
        edit.step(model)?;
    }
    Ok(edit.finish(model)?)
}

fn cost(scene: &Scene, outcome: &Outcome, seconds: f64, made: &RgbImage) -> Result<Cost> {
    let roi = outcome.roi.as_ref();
    Ok(Cost {
        seconds,
        lanes: outcome.report.lanes,
        iou: roi.map(|roi| score::iou(roi, &scene.mask)).transpose()?,
        success: scene.success(made)?,
    })
}

fn edited(
    model: &Model,
    scene: &Scene,
    preset: Preset,
    words: &str,
    known: Known,
) -> Result<(Cost, Outcome)> {
    let request = Request {
        image: scene.input.clone(),
        instruction: words.to_owned(),
        seed: scene.index,
        preset,
        mask: None,
        scheduler: None,
        full: None,
        beside: false,
    };
    let began = Instant::now();
    let outcome = finished(model, request, known)?;
    let seconds = began.elapsed().as_secs_f64();
    let made = outcome.decoded.as_ref().map(|decoded| &decoded.image);
    let cost = cost(scene, &outcome, seconds, made.unwrap_or(&scene.input))?;
    Ok((cost, outcome))
}

fn recolored(
    model: &Model,
    scene: &Scene,
    full: &Full,
    row: &Row,
    known: Known,
) -> Result<(Cost, Known)> {
    let asked = full.asked(scene, row, &[Finish::Recolor])?;
    let began = Instant::now();
    let request = asked
        .canvas
        .request(&asked.recipe, SIDE, model.factor() as u32)?;
    let outcome = finished(model, request, known)?;
    let finished = full::finished(&asked, outcome.clone(), Finish::Recolor)?;
    let seconds = began.elapsed().as_secs_f64();
    let small = resize::lanczos(&finished.result, SIDE, SIDE);
    Ok((cost(scene, &outcome, seconds, &small)?, finished.made))
}

/// The rows as a table.
pub fn text(rows: &[Reused]) -> String {
    let share =
        |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}"));
    let mut cells = vec![
        [
            "edits of one picture",
            "seconds",
            "of the first row's",
            "lanes",
            "of the first row's",
            "RoI IoU",
            "color success",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.label.to_owned(),
            shown(row.seconds, 3),
            share(row.seconds_share),
            shown(row.lanes, 1),
            share(row.lanes_share),
            shown(row.iou, 3),
            shown(row.success, 3),
        ]
    }));
    format!("\n{}", layout(&cells))
}

#[cfg(test)]
mod tests {
    use limekiln_rooms::{Style, Task};

    use super::*;

    #[test]
    fn the_first_row_is_fast_as_it_was() {
        let kept = include_str!("../../lime/tests/presets/fast-guided.json");
        let kept: Preset = serde_json::from_str(kept).unwrap();
        let mut ours = before();
        // Not read where a guided run locates.
        let locate = ours.locate.as_mut().unwrap();
        locate.levels = kept.locate.as_ref().unwrap().levels.clone();
        ours.name.clone_from(&kept.name);
        assert_eq!(ours, kept);
    }

    #[test]
    fn most_rooms_ask_for_a_color_that_another_can_take_the_place_of() {
        let scenes =
            (0..20).filter_map(|index| Scene::new((Style::Plain, Task::Recolor), 0, index));
        let (mut all, mut same) = (0, 0);
        for scene in scenes {
            all += 1;
            let other = in_another_color(&scene);
            let object = words::object(&scene.instruction, false);
            let is = object.is_some() && object == words::object(&other, false);
            same += usize::from(is && other != scene.instruction);
        }
        assert!(2 * same > all, "{same} of {all}");
    }
}
