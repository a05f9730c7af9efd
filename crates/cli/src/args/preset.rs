//! The preset, and the fields that the command line replaces.

use std::str::FromStr;

use clap::Args;
use serde_json::{Value, json};

use super::number::{scale, strength};

/// The presets' names.
const PRESETS: [&str; 6] = limekiln_lime::Preset::NAMES;

/// The preset with the best balance of quality and time in RoomBench.
const PRESET_DEFAULT: &str = "fast";

/// How to edit: a preset, and the flags that replace its fields.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Method")]
pub(crate) struct PresetArgs {
    /// Named set of the method's numbers
    ///
    /// paper     the publication's: 75 of 100 steps to locate, 100 to edit
    /// official  the authors' later code: 11 of 30 steps to locate, 30 to edit
    /// fast      one call on the noised input to locate, 20 steps of a better solver in a window around the region
    /// base      plain InstructPix2Pix: 100 steps, edits the whole picture
    /// recolor   locates as fast does and gives the object's material another color, at full size; nothing is denoised
    /// auto      recolors where a change of color is asked for and the object is sure, else edits as fast does
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "PRESET", default_value = PRESET_DEFAULT, value_parser = PRESETS)]
    pub(crate) preset: String,

    /// Solver of both stages: euler-ancestral, ddim, pndm, dpm++2m, unipc, euler or deis [default: the preset's, else the model's]
    #[arg(long, value_name = "NAME")]
    pub(crate) scheduler: Option<String>,

    /// Steps of each stage, 1 to 1000; the windows of steps that are read and regularised scale with them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) steps: Option<u16>,

    /// How strongly the edit follows the instruction (s_T), 0 to 100; 2 to 7.5 is usual
    #[arg(long, value_name = "X", value_parser = scale, allow_negative_numbers = true)]
    pub(crate) text_scale: Option<f64>,

    /// How strongly the edit follows the picture (s_I), 0 to 100; 1.2 to 2 is usual
    #[arg(long, value_name = "X", value_parser = scale, allow_negative_numbers = true)]
    pub(crate) image_scale: Option<f64>,

    /// Like --text-scale, for the stage that locates the region, where that is a guided run: paper, official
    #[arg(long, value_name = "X", value_parser = scale, allow_negative_numbers = true)]
    pub(crate) locate_text_scale: Option<f64>,

    /// Like --image-scale, for the stage that locates the region, where that is a guided run: paper, official
    #[arg(long, value_name = "X", value_parser = scale, allow_negative_numbers = true)]
    pub(crate) locate_image_scale: Option<f64>,

    /// How many of the attention map's highest points choose segments, on a grid of 128x128 (paper: 256x256)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(crate) points: Option<u32>,

    /// Number of segments that the picture is divided into, 1 to 64
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) clusters: Option<u32>,

    /// Locate by |eps_text - eps_image| (Watch Your Steps) instead of attention
    #[arg(long)]
    pub(crate) relevance: bool,

    /// After every step, put the input's own noised latents back outside the region
    #[arg(long, overrides_with = "no_blend")]
    pub(crate) blend: bool,

    /// Turn --blend off where the preset turns it on
    #[arg(long)]
    pub(crate) no_blend: bool,

    /// Raise the attention to the located words by STRENGTH instead of penalising all others (eq. 4), 0 to 1000000
    #[arg(long, value_name = "STRENGTH", value_parser = strength, allow_negative_numbers = true)]
    pub(crate) reward: Option<f64>,

    /// Replace any field of the preset; report.json shows them all
    ///
    /// Such as --set locate.select.rule=share --set locate.select.min=0.1 --set edit.blend=null. May be repeated.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub(crate) fields: Vec<Field>,
}

/// A field of a preset, by its dotted name, and what it becomes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    /// The argument as it was written, or the flag that sets the field; for messages.
    pub(crate) label: String,
    pub(crate) path: String,
    pub(crate) value: Value,
}

impl Field {
    /// Makes a field that the flag `label` sets.
    pub(crate) fn new(label: &str, path: &str, value: impl Into<Value>) -> Self {
        Self {
            label: label.to_owned(),
            path: path.to_owned(),
            value: value.into(),
        }
    }

    /// Noise-space blending in every step.
    pub(crate) fn blend(label: &str) -> Self {
        Self::new(
            label,
            "edit.blend",
            json!({ "steps": { "first": 1, "last": 100, "of": 100 }, "grow": 1 }),
        )
    }

    /// The relevance map in place of attention.
    pub(crate) fn relevance(label: &str) -> Self {
        Self::new(label, "locate.map.evidence", "relevance")
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text
            .split_once('=')
            .ok_or("write FIELD=VALUE, such as locate.select.points=1")?;
        let path = path.trim();
        if path.is_empty() || path.split('.').any(str::is_empty) {
            return Err(format!(
                "{path:?} is not the name of a field, such as locate.select.points"
            ));
        }
        // What is not JSON is a word: rule=share.
        let value =
            serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.trim().to_owned()));
        Ok(Self {
            label: format!("--set {text}"),
            path: path.to_owned(),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read() {
        let field: Field = "locate.select.points=1".parse().unwrap();
        assert_eq!(
            (field.path.as_str(), field.value),
            ("locate.select.points", json!(1))
        );
        assert_eq!("a=share".parse::<Field>().unwrap().value, json!("share"));
        assert_eq!("a=null".parse::<Field>().unwrap().value, Value::Null);
        for bad in ["", "points", "=1", "a..b=1"] {
            assert!(bad.parse::<Field>().is_err(), "{bad}");
        }
    }
}
