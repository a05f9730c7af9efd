//! A preset as few bytes: what differs from an entry of a dictionary that never changes.
//!
//! An edit's row is written some five times, each time whole, so a kilobyte of numbers in each would be dear. The dictionary
//! is the four presets as they were when edits began to store them, whatever became of them since. Its fields and the words in
//! them are also the baseline: what is not among them is a need of the edits that use it.
//!
//! A field that is added to [`Preset`] gets a default that changes nothing, is left out of the JSON where it has it
//! (`skip_serializing_if`), and its path goes into [`LATER`]; so does a new word, as `path=word`. An edit that uses what is
//! missing there waits for a worker that can do it, for ever.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use limekiln_jobs::needs::walk;
use limekiln_jobs::{Failure, FailureClass, Needs};
use limekiln_lime::Preset;
use serde_json::{Map, Value, json};

use super::Unready;

/// Fields and words of presets that came after the baseline and that this program knows.
pub(super) const LATER: [&str; 18] = [
    "edit",
    "recolor.sure",
    "locate.from",
    "locate.levels.features",
    "locate.levels.map",
    "locate.seed",
    "locate.map.words",
    "edit.window.least",
    "edit.window.margin",
    "edit.window.margin_share",
    "edit.window.removing",
    "edit.window.area",
    "edit.window.bound",
    "edit.blend.matte",
    "edit.scheduler=euler",
    "edit.scheduler=deis",
    "locate.scheduler=euler",
    "locate.scheduler=deis",
];

/// The dictionary. Never change it: edits are stored by it.
const DICTIONARY: &str = include_str!("dictionary.json");
/// What a preset of another name is written as a difference to.
const OTHERS: &str = "fast";
/// Words of the baseline: values of the fields that are texts.
const WORDS: [&str; 25] = [
    "half_pixel",
    "aligned",
    "down_up",
    "all",
    "below_full",
    "above_quarter",
    "transformers",
    "attentions",
    "attention",
    "relevance",
    "paper",
    "official",
    "any_point",
    "share",
    "mean",
    "covered",
    "level",
    "penalise",
    "reward",
    "text",
    "euler-ancestral",
    "ddim",
    "pndm",
    "dpm++2m",
    "unipc",
];

struct Dictionary {
    presets: Map<String, Value>,
    /// Paths of all fields.
    paths: BTreeSet<String>,
}

static READ: LazyLock<Dictionary> = LazyLock::new(|| {
    // A test reads it, so it is well.
    let presets: Map<String, Value> = serde_json::from_str(DICTIONARY).unwrap_or_default();
    let mut paths = BTreeSet::new();
    for preset in presets.values() {
        walk("", preset, &mut |path, _| {
            paths.insert(path.to_owned());
        });
    }
    Dictionary { presets, paths }
});

/// All fields of a preset.
pub(super) fn fields(preset: &Preset) -> Result<Value, serde_json::Error> {
    serde_json::to_value(preset)
}

/// What these fields need of a worker.
pub(super) fn needs(fields: &Value) -> Needs {
    // Only reported, and any word will do.
    let mut fields = fields.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("name");
    }
    let is_field = |path: &str| READ.paths.contains(path);
    Needs::of_fields("preset.", &fields, is_field, |word| WORDS.contains(&word))
}

/// The fields of the preset of this name, for the edit's row.
pub(super) fn pack(name: &str, fields: &Value) -> Map<String, Value> {
    let from = if READ.presets.contains_key(name) {
        name
    } else {
        OTHERS
    };
    let entry = READ.presets.get(from).unwrap_or(&Value::Null);
    let mut packed = Map::from_iter([("from".to_owned(), json!(from))]);
    if let Some(with) = difference(entry, fields) {
        packed.insert("with".to_owned(), with);
    }
    packed
}

/// What this name stood for when edits began to store their presets: that is what an edit without one was accepted with.
pub(super) fn of_old(name: &str) -> Option<Preset> {
    let entry = READ.presets.get(name)?;
    serde_json::from_value(entry.clone()).ok()
}

/// The preset that was packed.
///
/// # Errors
///
/// As [`Unready`] says.
pub(super) fn unpack(packed: &Map<String, Value>) -> Result<Preset, Unready> {
    let unreadable = |message: String| {
        let failure = Failure::new(FailureClass::Internal, "preset_unreadable", message);
        Unready::Failed(failure)
    };
    let from = packed
        .get("from")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(entry) = READ.presets.get(from) else {
        return Err(Unready::Unable(Needs::from_iter([format!(
            "preset.from={from}"
        )])));
    };
    let mut fields = entry.clone();
    if let Some(with) = packed.get("with") {
        merge(&mut fields, with);
    }
    let error = match serde_json::from_value::<Preset>(fields.clone()) {
        Ok(preset) => match preset.validate() {
            Ok(()) => return Ok(preset),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let known = LATER.iter().map(|need| format!("preset.{need}")).collect();
    let unknown = needs(&fields).missing(&known);
    if unknown.is_empty() {
        Err(unreadable(error))
    } else {
        Err(Unready::Unable(unknown))
    }
}

/// What has to be merged into `from` for it to become `to`; none where they are equal. No field of `from` is missing in `to`.
fn difference(from: &Value, to: &Value) -> Option<Value> {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let changed: Map<String, Value> = to
                .iter()
                .filter_map(|(name, to)| {
                    let with = match from.get(name) {
                        Some(from) => difference(from, to)?,
                        None => to.clone(),
                    };
                    Some((name.clone(), with))
                })
                .collect();
            (!changed.is_empty()).then_some(Value::Object(changed))
        }
        (from, to) => (from != to).then(|| to.clone()),
    }
}

fn merge(into: &mut Value, with: &Value) {
    match (into, with) {
        (Value::Object(into), Value::Object(with)) => {
            for (name, with) in with {
                merge(into.entry(name.as_str()).or_insert(Value::Null), with);
            }
        }
        (into, with) => *into = with.clone(),
    }
}

#[cfg(test)]
mod tests {
    use limekiln_jobs::Digest;

    use super::*;

    #[test]
    fn the_dictionary_is_what_it_was_and_this_program_reads_it() {
        assert_eq!(
            Digest::of(DICTIONARY.as_bytes()).to_string(),
            "309a27d303c5da5c36702499b7263de34f5f7877514f6aaa9ff656347571cf47",
            "edits are stored by it: a changed entry would make other pictures of them"
        );
        assert_eq!(READ.presets.len(), 4);
        for (name, entry) in &READ.presets {
            let preset: Preset = serde_json::from_value(entry.clone()).unwrap();
            assert_eq!(
                (preset.name.as_str(), preset.validate().is_ok()),
                (name.as_str(), true)
            );
            assert!(needs(entry).is_empty(), "{name}: {}", needs(entry));
        }
    }

    #[test]
    fn later_fields_are_needs_of_the_presets_that_use_them() {
        let changed = |locate: &str, edit: &str| {
            let changes = json!({
                "locate": {
                    "from": "input", "levels": {"map": [500]}, "seed": 0, "map": {"words": ["sofa"]}, "scheduler": locate,
                },
                "edit": {"window": {"removing": 2.0}, "blend": {"matte": 1}, "scheduler": edit},
            });
            let preset = Preset::fast().with(&changes).unwrap();
            needs(&fields(&preset).unwrap())
        };
        let mut all = changed("euler", "deis");
        all.extend(changed("deis", "euler"));
        all.extend(needs(&fields(&Preset::recolor()).unwrap()));
        let later = LATER.iter().map(|need| format!("preset.{need}"));
        assert_eq!(all, Needs::from_iter(later));
    }

    #[test]
    fn the_form_that_fast_had_is_kept_for_comparison() {
        let kept = include_str!("../../../lime/tests/presets/fast-guided.json");
        let mut kept: Value = serde_json::from_str(kept).unwrap();
        kept["name"] = json!("fast");
        assert_eq!(kept, READ.presets["fast"]);
        assert_ne!(of_old("fast").unwrap(), Preset::fast());
        for name in ["paper", "official", "base"] {
            assert_eq!(of_old(name).unwrap(), Preset::named(name).unwrap());
        }
    }

    #[test]
    fn every_word_of_the_baseline_is_one() {
        let base = &READ.presets["paper"];
        for word in WORDS {
            let fits = READ.paths.iter().any(|path| {
                let change = path
                    .rsplit('.')
                    .fold(json!(word), |inner, name| json!({ name: inner }));
                let mut fields = base.clone();
                merge(&mut fields, &change);
                path != "name" && serde_json::from_value::<Preset>(fields).is_ok()
            });
            assert!(fits, "{word} is no value of any field");
        }
    }
}
