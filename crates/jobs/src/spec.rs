//! What the engine is told. It is stored with the edit when the edit is accepted.
//!
//! ```
//! # use limekiln_jobs::ModelName;
//! assert!("rooms".parse::<ModelName>().is_ok());
//! assert!("../rooms".parse::<ModelName>().is_err());
//! ```

use crate::cost::Cost;
use crate::digest::Digest;
use crate::finish::{Carry, Finish};
use crate::needs::Needs;
use crate::reuse::Reuse;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

/// An edit for the engine. Missing fields have defaults, so that new workers read what old gateways wrote. Fields of newer
/// gateways are kept in `rest`: whoever would run such an edit without knowing them would make another picture than was
/// asked for, so nobody does.
///
/// A field that is added here is left out of the JSON where it says nothing new, and its name goes into [`Spec::LATER`].
///
/// ```
/// # use limekiln_jobs::Spec;
/// let spec: Spec = serde_json::from_str(r#"{"instruction": "make the sofa red", "of_the_future": 1}"#).unwrap();
/// assert_eq!((spec.preset.as_str(), spec.seed), (Spec::PRESET_DEFAULT, 0));
/// assert_eq!(spec.needs().to_string(), "of_the_future");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// What to change, in words.
    pub instruction: String,
    /// The preset to start from.
    #[serde(default = "preset_default")]
    pub preset: String,
    /// Fields of the preset to replace, nested as the preset is.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    /// Seed of the noise.
    #[serde(default)]
    pub seed: u64,
    /// Digest of the mask, in which white is what may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Digest>,
    /// Longer side to work at, in pixels; the engine's choice without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// What edits of older gateways have in place of [`Spec::finish`]: whether they are pasted.
    #[serde(default)]
    pub keep_outside: bool,
    /// How the model's picture becomes the result; left out where that is by `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    /// Whether nobody asked for this finish: an edit that finds no region gets that of `none` then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finish_default: bool,
    /// Which way the finish `detail` takes; the one that the edit speaks for where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<Carry>,
    /// The color that the object gets, as it was written; the one of the instruction's words where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Which materials of the object get it; the main one where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material: Option<String>,
    /// Whether the mask only says roughly where, and the picture says where its object ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub matte: bool,
    /// Whether the result has nothing but pixels and colors.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip_metadata: bool,
    /// How much is taken over of what earlier edits computed; left out where that is `exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Reuse>,
    /// The region as the request named it, a [`crate::request::Region`] of any version. `mask` is what it came to, and all that an
    /// engine looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Value>,
    /// Whether all that is asked for is the picture's segments.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub segments: bool,
    /// The preset with its replaced fields, as the gateway had it when the edit was accepted: what a worker runs, whatever
    /// its own preset of that name says. Packed by the engine's own crate. Edits of older gateways have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Map<String, Value>>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a gateway learns of an edit's preset and fields before it accepts the edit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// For [`Spec::resolved`].
    pub preset: Map<String, Value>,
    /// What the preset's fields need of a worker.
    pub needs: Needs,
    /// What the edit costs.
    pub cost: Cost,
    /// Whether the preset looks for a region.
    pub locates: bool,
    /// Whether the preset recolors, so that a color is used whatever the finish.
    pub recolors: bool,
    /// Whether all that the preset does is to recolor: then the model makes no picture that could be finished in several ways.
    pub only_recolors: bool,
    /// The words that name the object, whatever color is asked for; of an edit that may take another's region and looks for one.
    pub object: Option<Vec<String>>,
}

impl Spec {
    /// The instruction, with everything else as it is where a request says nothing.
    pub fn new(instruction: impl Into<String>) -> Self {
        Self {
            instruction: instruction.into(),
            preset: preset_default(),
            options: Map::new(),
            seed: 0,
            mask: None,
            size: None,
            keep_outside: false,
            finish: None,
            finish_default: false,
            carry: None,
            color: None,
            material: None,
            matte: false,
            strip_metadata: false,
            reuse: None,
            region: None,
            segments: false,
            resolved: None,
            rest: Map::new(),
        }
    }

    /// Needs of fields that this version knows and the first workers did not; and of turns, whatever their fields.
    pub const LATER: [&str; 12] = [
        "carry",
        "color",
        "finish",
        "finish=detail",
        "finish_default",
        Needs::LAYERS,
        "material",
        "matte",
        "region",
        "reuse",
        "segments",
        "strip_metadata",
    ];

    /// What its own fields need of a worker. What those of its preset need, the engine's crate knows.
    pub fn needs(&self) -> Needs {
        let mut needs: Needs = self.rest.keys().map(String::as_str).collect();
        // Fields that came after the baseline and are in use, by name; of their words, those that came later still.
        needs.extend(self.finish.map(|_| "finish".to_owned()));
        needs.extend(self.finish_default.then(|| "finish_default".to_owned()));
        let later = [
            ("carry", self.carry.is_some()),
            ("color", self.color.is_some()),
            ("material", self.material.is_some()),
            ("matte", self.matte),
            ("region", self.region.is_some()),
            ("reuse", self.reuse.is_some()),
            ("segments", self.segments),
            ("strip_metadata", self.strip_metadata),
        ];
        needs.extend(
            later
                .into_iter()
                .filter(|(_, used)| *used)
                .map(|(name, _)| name.to_owned()),
        );
        if let Some(finish @ (Finish::Detail | Finish::Other(_))) = self.finish {
            needs.extend([format!("finish={finish}")]);
        }
        if let Some(carry @ Carry::Other(_)) = self.carry {
            needs.extend([format!("carry={carry}")]);
        }
        if let Some(reuse @ Reuse::Other(_)) = self.reuse {
            needs.extend([format!("reuse={reuse}")]);
        }
        needs
    }

    /// The spec with this finish. `asked`: whether somebody asked for it.
    #[must_use]
    pub fn finished(self, finish: Finish, asked: bool) -> Self {
        let says = finish != Finish::None;
        Self {
            finish: says.then_some(finish),
            finish_default: says && !asked,
            ..self
        }
    }

    /// How the model's picture becomes the result, in edits of older gateways too.
    pub fn finish(&self) -> Finish {
        let older = if self.keep_outside {
            Finish::Paste
        } else {
            Finish::None
        };
        self.finish.unwrap_or(older)
    }

    /// Preset of a request that names none.
    pub const PRESET_DEFAULT: &str = "fast";
}

fn preset_default() -> String {
    Spec::PRESET_DEFAULT.to_owned()
}

/// The name of a model, as it stands in queue names: `[a-z0-9][a-z0-9._-]{0,62}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", example = "rooms")]
pub struct ModelName(String);

/// The text names no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a model's name has 1 to 63 characters of a-z, 0-9, '.', '_' and '-', and starts with a letter or digit"
)]
pub struct BadModelName;

impl ModelName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = BadModelName;

    fn from_str(text: &str) -> Result<Self, BadModelName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (1..=63).contains(&text.len())
            && text.bytes().next().is_some_and(plain)
            && text
                .bytes()
                .all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadModelName)
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ModelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_models() {
        let longest = "a".repeat(63);
        for good in ["rooms", "0", "sd1.5_pix2pix-fp16", longest.as_str()] {
            assert_eq!(good.parse::<ModelName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            "-a",
            ".a",
            "_a",
            "A",
            "a/b",
            "a b",
            "a\n",
            "a#",
            "é",
            long.as_str(),
        ] {
            assert_eq!(bad.parse::<ModelName>(), Err(BadModelName), "{bad:?}");
            assert!(serde_json::from_value::<ModelName>(bad.into()).is_err());
        }
    }

    #[test]
    fn a_spec_reads_back() {
        let spec = Spec {
            instruction: "make the sofa red".to_owned(),
            preset: "paper".to_owned(),
            options: serde_json::from_str(r#"{"locate": {"clusters": 8}}"#).unwrap(),
            seed: 7,
            mask: Some(Digest::of(b"mask")),
            size: Some(512),
            keep_outside: true,
            finish: Some(Finish::Detail),
            finish_default: true,
            carry: Some(Carry::Color),
            color: Some("#1F6F8B".to_owned()),
            material: Some("all".to_owned()),
            matte: true,
            strip_metadata: true,
            reuse: Some(Reuse::Object),
            region: Some(Value::Object(Map::new())),
            segments: true,
            resolved: Some(serde_json::from_str(r#"{"from": "paper"}"#).unwrap()),
            rest: Map::new(),
        };
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
        let mut needs = spec.needs();
        needs.extend([Needs::LAYERS.to_owned()]);
        assert_eq!(needs, Needs::from_iter(Spec::LATER));
    }

    #[test]
    fn a_finish_is_needed_and_older_specs_have_theirs() {
        let of = |json: &str| {
            let spec: Spec = serde_json::from_str(json).unwrap();
            (spec.finish(), spec.needs().to_string())
        };
        let none = (Finish::None, String::new());
        assert_eq!(of(r#"{"instruction":"a"}"#), none);
        assert_eq!(of(r#"{"instruction":"a","keep_outside":false}"#), none);
        let pasted = (Finish::Paste, String::new());
        assert_eq!(of(r#"{"instruction":"a","keep_outside":true}"#), pasted);
        let asked = (Finish::Paste, "finish".to_owned());
        assert_eq!(of(r#"{"instruction":"a","finish":"paste"}"#), asked);
        let (_, needs) = of(r#"{"instruction":"a","finish":"better"}"#);
        assert_eq!(needs, "finish, finish=better");
        // What every worker does by itself is no need.
        let plain = Spec::new("a").finished(Finish::None, false);
        assert_eq!(plain, Spec::new("a"));
        let default = Spec::new("a").finished(Finish::Paste, false);
        assert_eq!(
            default.needs(),
            Needs::from_iter(["finish", "finish_default"])
        );
    }

    #[test]
    fn a_field_of_the_future_is_kept_and_needed() {
        let json = r#"{"instruction":"make the sofa red","preset":"fast","seed":7,"keep_outside":false,"upscale":2}"#;
        let spec: Spec = serde_json::from_str(json).unwrap();
        assert_eq!(spec.rest["upscale"], 2);
        assert_eq!(spec.needs().to_string(), "upscale");
        assert_eq!(serde_json::to_string(&spec).unwrap(), json);
    }
}
