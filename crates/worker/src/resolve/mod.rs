//! An edit's preset: resolved once by the gateway, stored with the edit, and read back by whoever runs it. So a preset whose
//! numbers change answers the same in a fleet of old and new programs.
//!
//! # Layout
//!
//! - `packed`: a preset as few bytes, and what it needs of a worker
//! - `ready`: the same, kept for further edits

mod packed;
mod ready;

use limekiln_jobs::api::Invalid;
use limekiln_jobs::{Carry, Cost, Failure, FailureClass, Finish, Needs, Resolved, Reuse, Spec};
use limekiln_lime::Preset;
use limekiln_lime::canvas::{self, Finishing};
use limekiln_lime::found::Paint;
use limekiln_lime::preset::{LocateFrom, Recolor, Rule};
use serde_json::Value;

/// Why an edit can't be made ready here.
#[derive(Clone, Debug, PartialEq)]
pub enum Unready {
    /// Something is wrong, by the user's fault or by ours.
    Failed(Failure),
    /// It needs what this program does not know: a newer one has to run it.
    Unable(Needs),
}

impl From<Failure> for Unready {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The preset of a spec with its replaced fields, to be stored with the edit, and what they need of a worker.
///
/// # Errors
///
/// Names the field that is wrong: for a preset that there is not, for `options` that do not fit it, and for a color or a
/// material that can't be read or that the preset would not use.
pub fn resolve(spec: &Spec) -> Result<Resolved, Invalid> {
    let wrong = |failure: Failure| Invalid::new("options", failure.message);
    let ready = ready::ready(spec, || {
        let preset = named(&spec.preset).map_err(wrong)?;
        let preset = with_options(spec, preset).map_err(wrong)?;
        match spec.segments {
            true => segmenting(preset),
            false => Ok(preset),
        }
    })?;
    let preset = &ready.preset;
    paint_of(spec, preset).map_err(|error| {
        let field = error.field().unwrap_or("options");
        Invalid::new(field, error.to_string())
    })?;
    Ok(Resolved {
        cost: cost_of(preset),
        locates: preset.locate.is_some(),
        recolors: preset.recolor.is_some(),
        only_recolors: preset.edit.is_none(),
        object: (spec.reuse == Some(Reuse::Object) && preset.locate.is_some())
            .then(|| limekiln_lime::words::object(&spec.instruction, spec.color.is_some()))
            .flatten(),
        needs: ready.needs.clone(),
        preset: ready.packed.clone(),
    })
}

/// The preset that only locates, as one that would recolor what it finds.
fn segmenting(preset: Preset) -> Result<Preset, Invalid> {
    let tells = preset.locate.as_ref().is_some_and(|locate| {
        locate.from == LocateFrom::Input && locate.select.rule != Rule::Level
    });
    if !tells {
        let says = format!(
            "the preset {} does not tell a picture's segments from the picture alone: choose fast, auto or recolor",
            preset.name
        );
        return Err(Invalid::new("preset", says));
    }
    Ok(Preset {
        edit: None,
        recolor: Some(Recolor { sure: 0.0 }),
        ..preset
    })
}

fn cost_of(preset: &Preset) -> Cost {
    Cost {
        rows: preset.rows(),
        distances: preset.distances(),
    }
}

fn paint_of(spec: &Spec, preset: &Preset) -> Result<Option<Paint>, canvas::Error> {
    if spec.segments {
        return Ok(None);
    }
    let (color, material) = (spec.color.as_deref(), spec.material.as_deref());
    canvas::paint(preset, &spec.instruction, color, material)
}

/// How an edit by this preset is finished.
///
/// # Errors
///
/// [`Unready::Unable`] for a finish of a newer version; of class user for a color that can't be read.
pub(crate) fn finishing(spec: &Spec, preset: &Preset) -> Result<Finishing, Unready> {
    let finish = match spec.finish() {
        Finish::None => canvas::Finish::None,
        Finish::Paste => canvas::Finish::Paste,
        Finish::Detail => canvas::Finish::Detail,
        Finish::Other(_) => return Err(Unready::Unable(missing(spec, &can()))),
    };
    Ok(Finishing {
        finish,
        by_default: spec.finish_default,
        carry: match spec.carry {
            None | Some(Carry::Auto) => canvas::Carry::Auto,
            Some(Carry::Color) => canvas::Carry::Color,
            Some(Carry::Enlarged) => canvas::Carry::Enlarged,
            Some(Carry::Other(_)) => return Err(Unready::Unable(missing(spec, &can()))),
        },
        paint: paint_of(spec, preset).map_err(crate::prepared::failure)?,
    })
}

/// What an edit costs, and whether it may be recolored.
///
/// # Errors
///
/// As [`Unready`] says.
pub(crate) fn cost(spec: &Spec) -> Result<(Cost, bool), Unready> {
    let preset = preset(spec)?;
    Ok((cost_of(&preset), preset.recolor.is_some()))
}

/// Needs that this program can do.
pub fn can() -> Needs {
    let preset = packed::LATER.iter().map(|need| format!("preset.{need}"));
    Spec::LATER
        .iter()
        .map(|need| (*need).to_owned())
        .chain(preset)
        .collect()
}

/// What a spec needs that `can` lacks, as far as its own fields tell; those of its preset tell when it is read.
pub(crate) fn missing(spec: &Spec, can: &Needs) -> Needs {
    spec.needs().missing(can)
}

/// The preset that a worker runs: as the gateway resolved it, or, of an edit that a gateway accepted before edits stored
/// theirs, what its name stood for then.
///
/// # Errors
///
/// As [`Unready`] says.
pub(crate) fn preset(spec: &Spec) -> Result<Preset, Unready> {
    if let Some(resolved) = &spec.resolved {
        return packed::unpack(resolved);
    }
    let preset = match packed::of_old(&spec.preset) {
        Some(preset) => preset,
        None => named(&spec.preset)?,
    };
    Ok(with_options(spec, preset)?)
}

fn named(name: &str) -> Result<Preset, Failure> {
    Preset::named(name).map_err(|error| invalid(error.to_string()))
}

/// A preset with the spec's options in place of its own fields.
fn with_options(spec: &Spec, preset: Preset) -> Result<Preset, Failure> {
    if spec.options.is_empty() {
        return Ok(preset);
    }
    let locates = spec.options.get("locate").is_some_and(|it| !it.is_null());
    if preset.locate.is_none() && locates {
        return Err(invalid(format!(
            "options.locate: the preset {} does not locate; choose another preset",
            preset.name
        )));
    }
    preset
        .with(&Value::Object(spec.options.clone()))
        .map_err(|error| invalid(format!("options: {error}")))
}

fn invalid(message: String) -> Failure {
    Failure::new(FailureClass::User, "preset_invalid", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(preset: &str, options: Value) -> Spec {
        serde_json::from_value(
            json!({ "instruction": "make the sofa red", "preset": preset, "options": options }),
        )
        .unwrap()
    }

    /// As a gateway accepts it.
    fn accepted(preset: &str, options: Value) -> Spec {
        let spec = spec(preset, options);
        let resolved = resolve(&spec).unwrap();
        let missing = resolved.needs.missing(&can());
        assert!(missing.is_empty(), "{missing}");
        Spec {
            resolved: Some(resolved.preset),
            ..spec
        }
    }

    #[test]
    fn options_replace_the_presets_own() {
        let options = json!({"edit": {"steps": 3}, "locate": {"select": {"points": 1}}});
        for spec in [spec("fast", options.clone()), accepted("fast", options)] {
            let preset = preset(&spec).unwrap();
            assert_eq!(preset.edit.unwrap().steps, 3);
            assert_eq!(preset.locate.unwrap().select.points, 1);
        }
    }

    #[test]
    fn only_what_may_take_anothers_region_tells_its_object() {
        let of = |preset: &str, words: &str, reuse| {
            let spec = Spec {
                reuse,
                instruction: words.to_owned(),
                ..spec(preset, json!({}))
            };
            resolve(&spec).unwrap().object.map(|words| words.join(" "))
        };
        let object = Some(Reuse::Object);
        let sofa = Some("make the sofa".to_owned());
        assert_eq!(of("fast", "make the sofa red", object), sofa);
        assert_eq!(of("recolor", "make the sofa teal", object), sofa);
        assert_eq!(of("fast", "make the sofa red", None), None);
        assert_eq!(of("base", "make the sofa red", object), None);
        assert_eq!(of("fast", "remove the sofa", object), None);
    }

    #[test]
    fn what_does_not_fit_is_the_users() {
        for (name, options, says) in [
            ("slow", json!({}), "slow"),
            ("fast", json!({"edit": {"stepz": 3}}), "stepz"),
            ("fast", json!({"edit": {"steps": "three"}}), "three"),
            ("base", json!({"locate": {"steps": 3}}), "does not locate"),
            ("fast", json!({"edit": 5}), "options"),
        ] {
            let invalid = resolve(&spec(name, options)).unwrap_err();
            assert_eq!(invalid.field, "options");
            assert!(invalid.message.contains(says), "{invalid}");
        }
    }

    #[test]
    fn every_preset_is_stored_in_few_bytes_and_read_back() {
        for name in Preset::NAMES {
            let only_recolors = Preset::named(name).unwrap().edit.is_none();
            let options = match only_recolors {
                true => json!({"recolor": {"sure": 0.5}}),
                false => json!({"edit": {"scales": {"text": 4.25}}}),
            };
            let spec = accepted(name, options);
            let bytes = serde_json::to_string(&spec.resolved).unwrap().len();
            // `fast` has moved on since the dictionary was written.
            let most = match name {
                "fast" | "recolor" | "auto" => 300,
                _ => 100,
            };
            assert!(bytes < most, "{name}: {bytes} bytes");
            let mut want = Preset::named(name).unwrap();
            match &mut want.edit {
                Some(edit) => edit.scales.text = 4.25,
                None => want.recolor.as_mut().unwrap().sure = 0.5,
            }
            assert_eq!(preset(&spec), Ok(want), "{name}");
        }
    }

    #[test]
    fn the_default_waits_for_workers_that_know_it_and_the_published_ones_for_nobody() {
        let needs = |name| resolve(&spec(name, json!({}))).unwrap().needs;
        for name in ["paper", "official", "base"] {
            assert!(needs(name).is_empty(), "{name}: {}", needs(name));
        }
        let fast = needs("fast");
        assert!(fast.missing(&can()).is_empty());
        let says = fast.to_string();
        assert!(
            says.contains("preset.locate.from") && says.contains("preset.edit.window.removing"),
            "{says}"
        );
        // Nor does one that knew windows, but not all of today's fields.
        let before = can().into_iter();
        let before = before.filter(|need| need != "preset.edit.window.removing");
        assert!(!fast.missing(&before.collect()).is_empty());
    }

    #[test]
    fn an_edit_that_stored_only_a_name_means_what_the_name_meant() {
        let options = json!({"edit": {"steps": 7}});
        let preset = preset(&spec("fast", options)).unwrap();
        let edit = preset.edit.unwrap();
        assert_eq!((edit.steps, edit.window), (7, None));
        assert_eq!(preset.locate.unwrap().from, LocateFrom::Noise);
    }

    #[test]
    fn a_worker_runs_what_was_stored_whatever_its_own_preset_says() {
        let mut stored = accepted("fast", json!({}));
        stored.preset = "of_the_future".to_owned();
        assert_eq!(preset(&stored), Ok(Preset::fast()));
        // A newer gateway whose preset of this name has other numbers.
        let resolved = json!({"from": "fast", "with": {"edit": {"steps": 12}}});
        stored.resolved = resolved.as_object().cloned();
        assert_eq!(preset(&stored).unwrap().edit.unwrap().steps, 12);
    }

    #[test]
    fn finishes_are_those_of_the_spec() {
        let of = |fields: Value| {
            let mut json = json!({ "instruction": "make the sofa red" });
            json.as_object_mut()
                .unwrap()
                .extend(fields.as_object().unwrap().clone());
            finishing(&serde_json::from_value(json).unwrap(), &Preset::fast())
        };
        let paste = |by_default| Finishing {
            finish: canvas::Finish::Paste,
            by_default,
            carry: canvas::Carry::Auto,
            paint: None,
        };
        assert_eq!(of(json!({})), Ok(Finishing::NONE));
        assert_eq!(of(json!({"keep_outside": true})), Ok(paste(false)));
        assert_eq!(of(json!({"finish": "paste"})), Ok(paste(false)));
        let detail = Finishing {
            finish: canvas::Finish::Detail,
            ..paste(false)
        };
        assert_eq!(of(json!({"finish": "detail"})), Ok(detail));
        assert_eq!(
            of(json!({"finish": "paste", "finish_default": true})),
            Ok(paste(true))
        );
        let Err(Unready::Unable(needs)) = of(json!({"finish": "better"})) else {
            panic!("it was read");
        };
        assert_eq!(needs.to_string(), "finish=better");
    }

    #[test]
    fn what_is_of_the_future_is_named_and_not_run() {
        for (with, needs) in [
            (json!({"edit": {"sharpen": 0.5}}), "preset.edit.sharpen"),
            (
                json!({"locate": {"select": {"rule": "best"}}}),
                "preset.locate.select.rule=best",
            ),
            (
                json!({"edit": {"sharpen": {"by": 1, "how": "well"}}, "again": true}),
                "preset.again, preset.edit.sharpen.by, preset.edit.sharpen.how",
            ),
        ] {
            let resolved = json!({"from": "fast", "with": with});
            let spec = Spec {
                resolved: resolved.as_object().cloned(),
                ..spec("fast", json!({}))
            };
            let Err(Unready::Unable(unable)) = preset(&spec) else {
                panic!("{with} was read");
            };
            assert_eq!(unable.to_string(), needs);
        }
        // What is merely wrong is a fault of ours, and ends.
        let resolved = json!({"from": "fast", "with": {"edit": {"steps": -1}}});
        let spec = Spec {
            resolved: resolved.as_object().cloned(),
            ..spec("fast", json!({}))
        };
        let Err(Unready::Failed(failure)) = preset(&spec) else {
            panic!("it was read");
        };
        assert_eq!(failure.class, FailureClass::Internal);
    }
}
