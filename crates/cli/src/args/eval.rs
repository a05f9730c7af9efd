//! `limekiln eval rooms`.

use std::path::PathBuf;

use clap::Args;
use limekiln_eval::Row;
use limekiln_lime::Preset;
use limekiln_lime::canvas::Finish;
use limekiln_rooms::Style;

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
/// of a window by its share of the picture. `base` is scored at its own scales, and at the edit scales, steps and scheduler of each LIME preset.
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

    /// The same as --style rich
    #[arg(long, conflicts_with = "style")]
    pub(crate) rich: bool,

    /// Side of the rooms' pictures, in pixels, for scores at full size [default: as large as the model works at]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(256..=4096))]
    pub(crate) picture_size: Option<u32>,

    /// How the model's pictures become results: none (enlarged for scoring), paste, or both
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "none,paste", value_parser = finish, requires = "picture_size")]
    pub(crate) finish: Vec<Finish>,

    /// Presets to score, each NAME or NAME+OPTION+...
    ///
    /// +blend takes the input's own noised latents outside the region, +relevance locates by |eps_text - eps_image|,
    /// +mask is given the true mask, and +FIELD=VALUE replaces a field, as `limekiln edit --set` does.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "paper,official,fast",
        value_parser = row
    )]
    pub(crate) presets: Vec<Row>,

    /// Score the presets alone, without `base`
    #[arg(long, conflicts_with = "sweep")]
    pub(crate) no_base: bool,

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
  limekiln eval rooms --count 100 --json > roombench.json";

fn finish(name: &str) -> Result<Finish, String> {
    match name.trim() {
        "none" => Ok(Finish::None),
        "paste" => Ok(Finish::Paste),
        other => Err(format!("no finish {other:?}: there are none and paste")),
    }
}

/// A preset with options, as `--presets` names it.
fn row(text: &str) -> Result<Row, String> {
    let label = text.trim();
    let mut parts = options(label).into_iter();
    let preset =
        Preset::named(parts.next().unwrap_or_default()).map_err(|error| error.to_string())?;
    let (mut fields, mut true_mask) = (Vec::new(), false);
    for option in parts {
        match option {
            "mask" => true_mask = true,
            "blend" => fields.push(Field::blend("+blend")),
            "relevance" => fields.push(Field::relevance("+relevance")),
            field if field.contains('=') => fields.push(field.parse()?),
            other => {
                return Err(format!(
                    "no option +{other}: there are +blend, +relevance, +mask and +FIELD=VALUE"
                ));
            }
        }
    }
    let preset = preset_with(&preset, &fields).map_err(|error| error.to_string())?;
    Ok(Row {
        label: label.to_owned(),
        preset,
        true_mask,
    })
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
        assert!(row.true_mask && row.preset.edit.blend.is_some());
        assert_eq!(row.preset.locate.unwrap().segments.clusters, 16);
        for bad in [
            "",
            "offical",
            "paper+",
            "paper+blent",
            "base+relevance",
            "paper+edit.stepz=1",
        ] {
            assert!(super::row(bad).is_err(), "{bad}");
        }
    }
}
