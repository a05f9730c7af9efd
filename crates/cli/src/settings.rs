//! The method's arguments, made into a preset and checked together before anything slow starts.

use anyhow::Result;
use limekiln_jobs::{Carry, Finish};
use limekiln_lime::Preset;
use limekiln_lime::canvas::{self, Finishing};
use limekiln_lime::preset::LocateFrom;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::args::{Field, FinishArgs, PresetArgs, Seed};

/// An error in the command line, which makes the command exit with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The preset with its fields replaced.
///
/// # Errors
///
/// [`Usage`] that names the argument which does not fit.
pub(crate) fn preset(args: &PresetArgs) -> Result<Preset> {
    let preset = Preset::named(&args.preset)?;
    let changed = preset_with(&preset, &fields(args, &preset))?;
    guidance_is_read(args, &changed)?;
    Ok(changed)
}

/// One call on the picture's own latents has no guidance: what sets it would do nothing.
fn guidance_is_read(args: &PresetArgs, preset: &Preset) -> Result<(), Usage> {
    let given = [
        ("--locate-text-scale", args.locate_text_scale),
        ("--locate-image-scale", args.locate_image_scale),
    ];
    let one_call = preset
        .locate
        .as_ref()
        .is_some_and(|locate| locate.from == LocateFrom::Input);
    match given.iter().find(|(_, scale)| scale.is_some()) {
        Some((flag, _)) if one_call => Err(Usage(format!(
            "{flag}: the preset {} locates in one call, without guidance; add --set locate.from=noise for a guided run",
            preset.name
        ))),
        _ => Ok(()),
    }
}

/// The seed of `what`: the one given, or one that is drawn here and said on stderr, so that the same can be had again.
pub(crate) fn seed(seed: Seed, what: &str) -> u64 {
    match seed {
        Seed::Given(seed) => seed,
        Seed::Random => {
            // The last 62 bits are random; half of them are easier to type again.
            let drawn = u64::from(Uuid::now_v7().as_u128() as u32);
            eprintln!("{what}: {drawn}");
            drawn
        }
    }
}

/// What the user should know of the flags.
pub(crate) fn finish_warning(args: &FinishArgs) -> Option<String> {
    let says = "--keep-outside is deprecated: it means --finish paste";
    args.keep_outside.then(|| says.to_owned())
}

/// The finish that is asked for; none where the edit is to have its default.
///
/// # Errors
///
/// [`Usage`] where the flags contradict each other.
fn finish(args: &FinishArgs) -> Result<Option<Finish>, Usage> {
    match args.finish {
        Some(other) if args.keep_outside && other != Finish::Paste => Err(Usage(format!(
            "--keep-outside means --finish paste, and --finish asks for {other}: leave one of the two out"
        ))),
        Some(finish) => Ok(Some(finish)),
        None => Ok(args.keep_outside.then_some(Finish::Paste)),
    }
}

/// The finish that is asked for of this preset.
///
/// # Errors
///
/// As [`finishing`].
pub(crate) fn finish_of(args: &FinishArgs, preset: &Preset) -> Result<Option<Finish>, Usage> {
    let asked = finish(args)?;
    match asked {
        Some(finish) if preset.edit.is_none() => Err(Usage(format!(
            "--finish: the preset {} only recolors: the model makes no picture that {finish} could be done with; leave it out",
            preset.name
        ))),
        asked => Ok(asked),
    }
}

/// How an edit by this preset is finished that has a `region` or has none.
///
/// # Errors
///
/// As [`finish`], and where the preset makes nothing that could be finished in several ways.
pub(crate) fn finishing(
    args: &FinishArgs,
    preset: &Preset,
    region: bool,
) -> Result<Finishing, Usage> {
    let asked = finish_of(args, preset)?;
    let finish = asked.unwrap_or_else(|| Finish::by_default(region));
    if args.carry.is_some() && finish != Finish::Detail {
        return Err(Usage(format!(
            "--carry: is a way of the finish detail, and this edit has {finish}: leave it out, or give the edit a region"
        )));
    }
    Ok(Finishing {
        finish: match finish {
            Finish::Paste => canvas::Finish::Paste,
            Finish::Detail => canvas::Finish::Detail,
            // No other name is read.
            Finish::None | Finish::Other(_) => canvas::Finish::None,
        },
        by_default: asked.is_none(),
        carry: match args.carry {
            Some(Carry::Color) => canvas::Carry::Color,
            Some(Carry::Enlarged) => canvas::Carry::Enlarged,
            // No other name is read.
            None | Some(Carry::Auto | Carry::Other(_)) => canvas::Carry::Auto,
        },
        paint: None,
    })
}

/// The replaced fields as the API takes them: one object, nested as the preset is.
///
/// # Errors
///
/// As [`preset`], so that what a gateway would refuse is refused before anything is sent.
pub(crate) fn options(args: &PresetArgs) -> Result<Map<String, Value>> {
    let preset = Preset::named(&args.preset)?;
    let fields = fields(args, &preset);
    guidance_is_read(args, &preset_with(&preset, &fields)?)?;
    let mut options = Map::new();
    for field in &fields {
        merge(&mut options, &field.path, &field.value);
    }
    Ok(options)
}

fn merge(into: &mut Map<String, Value>, path: &str, value: &Value) {
    match path.split_once('.') {
        None => {
            into.insert(path.to_owned(), value.clone());
        }
        Some((key, rest)) => {
            let inner = into.entry(key).or_insert_with(|| json!({}));
            if !inner.is_object() {
                *inner = json!({});
            }
            if let Some(inner) = inner.as_object_mut() {
                merge(inner, rest, value);
            }
        }
    }
}

fn fields(args: &PresetArgs, preset: &Preset) -> Vec<Field> {
    shorthands(args, preset)
        .into_iter()
        .chain(args.fields.iter().cloned())
        .collect()
}

/// `preset` with `fields` replaced, in order.
///
/// # Errors
///
/// [`Usage`] that names the first field which does not fit.
pub(crate) fn preset_with(preset: &Preset, fields: &[Field]) -> Result<Preset, Usage> {
    fields.iter().try_fold(preset.clone(), |preset, field| {
        let part = field.path.split('.').next().unwrap_or_default();
        if part == "locate" && preset.locate.is_none() {
            return Err(Usage(format!(
                "{}: the preset {} does not locate; choose another preset",
                field.label, preset.name
            )));
        }
        if part == "edit" && preset.edit.is_none() && field.path != part {
            return Err(Usage(format!(
                "{}: the preset {} denoises nothing; choose another preset",
                field.label, preset.name
            )));
        }
        let edit = preset.edit.as_ref();
        if field.path.starts_with("edit.regularise.")
            && edit.is_some_and(|edit| edit.regularise.is_none())
        {
            return Err(Usage(format!(
                "{}: the preset {} does not regularise; choose another preset",
                field.label, preset.name
            )));
        }
        preset
            .with(&nested(&field.path, &field.value))
            .map_err(|error| Usage(format!("{}: {error}", field.label)))
    })
}

fn shorthands(args: &PresetArgs, preset: &Preset) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut set = |label: &str, path: &str, value: Option<Value>| {
        fields.extend(value.map(|value| Field::new(label, path, value)));
    };
    let (scheduler, steps) = (
        args.scheduler.clone().map(Value::from),
        args.steps.map(Value::from),
    );
    if preset.edit.is_some() || preset.locate.is_none() {
        set("--scheduler", "edit.scheduler", scheduler.clone());
        set("--steps", "edit.steps", steps.clone());
    }
    if preset.locate.is_some() {
        set("--scheduler", "locate.scheduler", scheduler);
        set("--steps", "locate.steps", steps);
    }
    set(
        "--text-scale",
        "edit.scales.text",
        args.text_scale.map(Value::from),
    );
    set(
        "--image-scale",
        "edit.scales.image",
        args.image_scale.map(Value::from),
    );
    set(
        "--locate-text-scale",
        "locate.scales.text",
        args.locate_text_scale.map(Value::from),
    );
    set(
        "--locate-image-scale",
        "locate.scales.image",
        args.locate_image_scale.map(Value::from),
    );
    set(
        "--points",
        "locate.select.points",
        args.points.map(Value::from),
    );
    set(
        "--clusters",
        "locate.segments.clusters",
        args.clusters.map(Value::from),
    );
    if let Some(strength) = args.reward {
        set("--reward", "edit.regularise.mode", Some("reward".into()));
        set(
            "--reward",
            "edit.regularise.strength",
            Some(strength.into()),
        );
    }
    if args.relevance {
        fields.push(Field::relevance("--relevance"));
    }
    let blends = preset
        .edit
        .as_ref()
        .is_some_and(|edit| edit.blend.is_some());
    if args.blend && !blends {
        fields.push(Field::blend("--blend"));
    } else if args.no_blend && !args.blend {
        fields.push(Field::new("--no-blend", "edit.blend", Value::Null));
    }
    fields
}

/// `a.b` and a value as `{"a": {"b": value}}`.
fn nested(path: &str, value: &Value) -> Value {
    path.rsplit('.')
        .fold(value.clone(), |value, key| json!({ key: value }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn read(line: &str) -> Result<Preset> {
        let words = ["limekiln", "edit", "a.png", "b"]
            .into_iter()
            .chain(line.split_whitespace());
        let Command::Edit(args) = Cli::try_parse_from(words)?.command else {
            unreachable!()
        };
        preset(&args.preset)
    }

    #[test]
    fn flags_replace_fields() {
        let preset = read("--preset paper --steps 20 --text-scale 5 --locate-image-scale 2 --points 1 --clusters 16 --reward 3").unwrap();
        let locate = preset.locate.unwrap();
        let edit = preset.edit.unwrap();
        assert_eq!((edit.steps, locate.steps), (20, 20));
        assert_eq!(
            (edit.scales.text, locate.scales.text, locate.scales.image),
            (5.0, 7.5, 2.0)
        );
        assert_eq!((locate.select.points, locate.segments.clusters), (1, 16));
        assert_eq!(edit.regularise.unwrap().strength, 3.0);
        assert!(
            read("--preset official --blend")
                .unwrap()
                .edit
                .unwrap()
                .blend
                .is_some()
        );
        assert!(
            read("--preset fast --no-blend")
                .unwrap()
                .edit
                .unwrap()
                .blend
                .is_none()
        );
        let guided = read("--locate-text-scale 3 --set locate.from=noise").unwrap();
        assert_eq!(guided.locate.unwrap().scales.text, 3.0);
        assert_eq!(
            read("--set locate.grid=64").unwrap().locate.unwrap().grid,
            64
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, named) in [
            ("--preset base --points 3", "--points"),
            ("--preset base --reward 3", "--reward"),
            ("--scheduler heun", "--scheduler"),
            ("--set edit.stepz=3", "stepz"),
            ("--preset official --points 100000", "--points"),
            ("--locate-image-scale 2", "--locate-image-scale"),
        ] {
            let error = read(line).unwrap_err();
            assert!(
                error.is::<Usage>() && error.to_string().contains(named),
                "{line}: {error}"
            );
        }
    }
}
