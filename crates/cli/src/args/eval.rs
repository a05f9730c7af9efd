//! `limekiln eval rooms`.

use std::path::{Path, PathBuf};

use clap::Args;
use limekiln_eval::{Given, Row};
use limekiln_lime::Preset;
use limekiln_lime::canvas::Finish;
use limekiln_rooms::{Style, Task};

use super::number::scale;
use super::rooms::style;
use super::{Field, ModelArgs, Seed};
use crate::settings::preset_with;

/// RoomBench: recolor one object in each of N rooms that the model has not seen, and score where the edit went.
///
/// RoI IoU: overlap of the region found with the object's true mask (legs, stand and stems included). Color success:
/// share of edits after which the object's colored part is nearer to the asked color than to the other 11 (in rooms with light
/// and shadow: to what these colors look like there). Color error: distance of its mean color from the asked one, in RGB. Outside: mean absolute change of the pixels outside the true
/// mask, of 255; the VAE floor is what encoding and decoding alone changes. Lanes: rows that the U-Net computed, those
/// of a window by its share of the picture. Ran whole: share of edits that computed the whole picture where the preset asks
/// for a window. `base` is scored at its own scales, and at the edit scales, steps and scheduler of each LIME preset.
///
/// With --picture-size rooms are drawn at that size and edited as photographs are: shrunk to what the model works at, edited, and
/// finished. A second table scores the results beside the true edit, in the object's colored part: ΔE00 (CIEDE2000; median and
/// mean of a room, share of rooms whose median is above 8) and texture (correlation of what a Gaussian of 3 pixels takes away);
/// ΔE00 up to 40 pixels outside the object and up to 8 pixels from its edge; F1 of the matte's boundary within 2 pixels; share
/// of the 4 pixels around it that still show the old hue; share of the matte more than 8 pixels astray; pixels changed where the
/// matte is 0 (where the finish has no matte, outside the object).
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvalRoomsArgs {
    /// How many rooms
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,

    /// Which rooms; the noise is seeded with the room's number. `random` (or -1) draws a number and prints it
    #[arg(long, value_name = "N", default_value_t = Seed::Given(0), allow_negative_numbers = true)]
    pub(crate) seed: Seed,

    /// How rooms are drawn: plain, rich or second
    ///
    /// rich has cloth, wood, stripes, light, shadow, highlights, noise, JPEG compression, and objects that touch others of like
    /// color; second is another style altogether, that nothing is trained or tuned on.
    #[arg(long, value_name = "STYLE", default_value = "plain", value_parser = style)]
    pub(crate) style: Style,

    /// What is asked for: recolor, remove, add, replace or two (two objects recolored). What goes or comes is scored over all of its
    /// place, before and after
    #[arg(long, value_name = "TASK", default_value = "recolor", value_parser = task)]
    pub(crate) task: Task,

    /// The same as --style rich
    #[arg(long, conflicts_with = "style")]
    pub(crate) rich: bool,

    /// Side of the rooms' pictures, in pixels, for scores at full size [default: as large as the model works at]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(256..=4096))]
    pub(crate) picture_size: Option<u32>,

    /// How the model's pictures become results: none (enlarged for scoring), paste, detail, or several; with detail the edit of all of
    /// them reaches as far beyond its region as detail's does
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "none,paste", value_parser = finish, requires = "picture_size")]
    pub(crate) finish: Vec<Finish>,

    /// Presets to score, each NAME, or a FILE.json of all fields as report.json shows them, or one of these +OPTION+...
    ///
    /// +blend takes the input's own noised latents outside the region, +relevance locates by |eps_text - eps_image|,
    /// +mask is given the true mask, +rough a rough region made of it (blurred, and shifted by a twentieth of the object), +color
    /// the color of the true edit (+color=VALUE: this one), +object reads only the words that name the object to locate it, and
    /// +FIELD=VALUE replaces a field, as `limekiln edit --set` does.
    #[arg(
        long,
        value_name = "NAMES",
        default_value = "paper,official,fast",
        value_parser = rows
    )]
    pub(crate) presets: Vec<Rows>,

    /// Score the presets alone, without `base`
    #[arg(long, conflicts_with = "sweep")]
    pub(crate) no_base: bool,

    /// Also compare each preset with the first of --presets room by room, so that what rooms have in common falls out
    #[arg(long)]
    pub(crate) paired: bool,

    /// Also locate every room with N seeds, and again where another object has another color, and where samples moved by 1 of
    /// 255: IoU of the regions found
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=100))]
    pub(crate) stability: Option<u64>,

    /// Also edit every room again as sessions do: with a second instruction, and with the object in another color, on what the edit before
    /// computed; and recolor it at 1 megapixel, in a first and a further color. Seconds and lanes over the first edit of `fast` as it
    /// was when a guided run located
    #[arg(long)]
    pub(crate) reuse: bool,

    /// Give every row this many steps a stage, for a first impression; windows of steps scale along
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) steps: Option<u16>,

    /// Also vary the text scale and compare the change outside at equal color success
    #[arg(long)]
    pub(crate) sweep: bool,

    /// The text scales of --sweep
    #[arg(long, value_name = "SCALES", value_delimiter = ',', default_value = "1.5,2,2.5,3.5,5,7.5", value_parser = scale)]
    pub(crate) sweep_scales: Vec<f64>,

    /// Rooms scored at the same time, one thread each [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: Option<u16>,

    /// Print the scores, every room's included, as JSON on stdout instead of the table
    #[arg(long)]
    pub(crate) json: bool,

    /// Also write a sheet with the input and every row's result for the first 8 rooms
    #[arg(long, value_name = "FILE")]
    pub(crate) pictures: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  limekiln eval rooms --count 20                               20 rooms, every preset: a first impression
  limekiln eval rooms --presets official,official+blend --sweep
  limekiln eval rooms --picture-size 1024 --presets fast --no-base --rich
  limekiln eval rooms --picture-size 1024 --finish paste,detail --presets fast --no-base --task remove --count 20
  limekiln eval rooms --no-base --paired --presets 'fast,fast+locate.levels.map=[500,700]'
  limekiln eval rooms --no-base --stability 10 --presets fast
  limekiln eval rooms --count 100 --json > roombench.json";

fn task(name: &str) -> Result<Task, String> {
    let known = Task::ALL.into_iter();
    let found = known.clone().find(|task| task.name() == name.trim());
    found.ok_or_else(|| {
        let names: Vec<&str> = known.map(Task::name).collect();
        format!("no task {name:?}: there are {}", names.join(", "))
    })
}

fn finish(name: &str) -> Result<Finish, String> {
    match name.trim() {
        "none" => Ok(Finish::None),
        "paste" => Ok(Finish::Paste),
        "detail" => Ok(Finish::Detail),
        other => Err(format!(
            "no finish {other:?}: there are none, paste and detail"
        )),
    }
}

/// What one `--presets` names.
#[derive(Clone, Debug)]
pub(crate) struct Rows(pub(crate) Vec<Row>);

/// Presets with options, between commas that are no part of a value.
fn rows(text: &str) -> Result<Rows, String> {
    let mut depth = 0usize;
    let names = text.split(|c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    names.map(row).collect::<Result<_, _>>().map(Rows)
}

/// The preset of this name, or in the file of this name.
fn preset(name: &str) -> Result<Preset, String> {
    let file = Path::new(name);
    if file.extension().is_none_or(|extension| extension != "json") {
        return Preset::named(name).map_err(|error| error.to_string());
    }
    let bytes = std::fs::read(file).map_err(|error| format!("{name}: {error}"))?;
    let preset: Preset =
        serde_json::from_slice(&bytes).map_err(|error| format!("{name} is no preset: {error}"))?;
    preset
        .validate()
        .map_err(|error| format!("{name}: {error}"))?;
    Ok(preset)
}

/// A preset with options, as `--presets` names it.
fn row(text: &str) -> Result<Row, String> {
    let mut label = text.trim();
    let mut parts = options(label).into_iter();
    let name = parts.next().unwrap_or_default();
    let preset = preset(name)?;
    // The table shows a file by its name alone.
    if let Some(folder) = Path::new(name)
        .parent()
        .map(|folder| folder.as_os_str().len())
        && folder > 0
    {
        label = label.get(folder + 1..).unwrap_or(label);
    }
    let mut fields = Vec::new();
    let mut row = Row::new(label, preset);
    for option in parts {
        match option {
            "mask" => row.true_mask = true,
            "rough" => row.rough = true,
            "color" => row.color = Some(Given::Truth),
            "object" if row.preset.locate.is_some() => row.object_words = true,
            "blend" => fields.push(Field::blend("+blend")),
            "relevance" => fields.push(Field::relevance("+relevance")),
            field if let Some(color) = field.strip_prefix("color=") => {
                row.color = Some(Given::Value(color.to_owned()));
            }
            field if field.contains('=') => fields.push(field.parse()?),
            other => {
                return Err(format!(
                    "no option +{other} of {name}: there are +blend, +relevance, +mask, +rough, +color, +object (of what locates) and +FIELD=VALUE"
                ));
            }
        }
    }
    row.preset = preset_with(&row.preset, &fields).map_err(|error| error.to_string())?;
    Ok(row)
}

/// `label` split at each "+" but those before a digit or another "+", so that `edit.scheduler=dpm++2m` stays whole.
fn options(label: &str) -> Vec<&str> {
    let plus = label.match_indices('+').map(|(at, _)| at);
    let cuts: Vec<usize> = plus
        .filter(|at| !label[at + 1..].starts_with(|c: char| c == '+' || c.is_ascii_digit()))
        .collect();
    let starts = std::iter::once(0).chain(cuts.iter().map(|at| at + 1));
    let ends = cuts.iter().copied().chain(std::iter::once(label.len()));
    starts
        .zip(ends)
        .map(|(start, end)| &label[start..end])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_with_options_are_read() {
        let text = "official+blend+mask+edit.scheduler=dpm++2m+locate.segments.clusters=16";
        let row = row(text).unwrap();
        assert!(row.true_mask && row.preset.edit.unwrap().blend.is_some());
        let given = super::row("recolor+rough+color=#1F6F8B").unwrap();
        assert_eq!(given.color, Some(Given::Value("#1F6F8B".to_owned())));
        assert!(given.rough && !given.locates());
        assert_eq!(row.preset.locate.unwrap().segments.clusters, 16);
        for bad in [
            "",
            "offical",
            "paper+",
            "paper+blent",
            "base+relevance",
            "base+object",
            "paper+edit.stepz=1",
        ] {
            assert!(super::row(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn commas_of_values_part_no_names() {
        let text = r#"fast+object+locate.levels={"features":[500,600],"map":[700]},paper"#;
        let Rows(rows) = rows(text).unwrap();
        let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
        assert_eq!(labels, [&text[..text.len() - 6], "paper"]);
        assert!(rows[0].object_words && !rows[1].object_words);
        assert_eq!(
            rows[0].preset.locate.as_ref().unwrap().levels.features,
            [500, 600]
        );
        assert!(super::rows("fast,").is_err());
    }

    #[test]
    fn a_file_is_a_preset_of_all_fields() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../lime/tests/presets");
        let read = row(&format!("{folder}/fast-guided.json+edit.steps=3")).unwrap();
        assert_eq!(read.label, "fast-guided.json+edit.steps=3");
        let edit = read.preset.edit.unwrap();
        assert_eq!((edit.steps, edit.window), (3, None));
        let missing = row(&format!("{folder}/slow.json")).unwrap_err();
        assert!(missing.contains("slow.json"), "{missing}");
        let other = row(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../rooms/model/model_index.json"
        ));
        assert!(other.unwrap_err().contains("is no preset"));
    }
}
