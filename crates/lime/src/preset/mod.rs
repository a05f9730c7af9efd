//! Every number of the method as data. A preset is a row of the table in the method's description; code never asks for its name.

mod check;
mod table;
mod window;

use limekiln_diffusion::scheduler::SchedulerKind;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use window::Window;

/// One way to edit. All fields may be changed; [`Preset::validate`] says whether they still make sense.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Where its numbers came from; only reported.
    pub name: String,
    /// Stage 1, or none: the picture is then edited as a whole, unless the request brings a mask.
    pub locate: Option<Locate>,
    /// Stage 2.
    pub edit: Apply,
}

/// Guidance of eq. 2: `none + text (eps_text - eps_image) + image (eps_image - eps_none)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guide {
    /// s_T.
    pub text: f64,
    /// s_I.
    pub image: f64,
}

/// Stage 1: find the region of interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locate {
    /// Steps of the whole run; it stops after the last one that is read.
    pub steps: usize,
    /// Guidance.
    pub scales: Guide,
    /// Solver; none is the checkpoint's own.
    #[serde(with = "kind")]
    pub scheduler: Option<SchedulerKind>,
    /// Side of the square grid on which segments and map meet.
    pub grid: usize,
    /// How maps are enlarged to the grid.
    pub corners: Corners,
    /// Features and their clustering.
    pub segments: Segmentation,
    /// The map that says where the instruction acts.
    pub map: MapOf,
    /// From map and segments to the region.
    pub select: Select,
}

/// Where the samples of bilinear resizing lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corners {
    /// Pixel centres at half positions (torch: `align_corners=False`).
    HalfPixel,
    /// The corner pixels coincide (torch: `align_corners=True`).
    Aligned,
}

/// Parts of the U-Net that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parts {
    /// Down and up blocks.
    DownUp,
    /// Down, mid and up blocks.
    All,
}

/// Layers chosen by the size of their feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sizes {
    /// Every layer.
    All,
    /// Those smaller than the latents.
    BelowFull,
    /// Those larger than a quarter of the latents' side.
    AboveQuarter,
}

/// What counts as a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Output of each spatial transformer, after its residual.
    Transformers,
    /// Output of each attention layer, self and cross, before its residual.
    Attentions,
}

/// Features of the image lane, fused, normalised per pixel, clustered by K-means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segmentation {
    /// What counts as a feature map.
    pub source: Source,
    /// From which parts.
    pub parts: Parts,
    /// Of which sizes.
    pub sizes: Sizes,
    /// Steps over which they are averaged.
    pub steps: Window,
    /// k.
    pub clusters: usize,
    /// k-means++ starts, of which the best by inertia stays.
    pub starts: usize,
    /// At most this many rounds per start.
    pub rounds: usize,
}

/// What the map is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Cross-attention of the text lane to the tokens read.
    Attention,
    /// |eps_text - eps_image|, mean over channels ("Watch Your Steps", Mirzaei et al.). `parts`, `sizes`, `tokens` and
    /// `normalise` have no say then.
    Relevance,
}

/// Which tokens are read to locate and which are penalised in the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// Read: all but start, stop words and padding (the end token is padding). Penalised: those three.
    Paper,
    /// Read: all but start, stop words, punctuation, edit verbs and padding; the end token stays. Penalised: start, stop
    /// words and padding after the end token.
    Official,
}

/// The map that says where the instruction acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapOf {
    /// What it is made of.
    pub evidence: Evidence,
    /// Cross-attention of which parts.
    pub parts: Parts,
    /// Of which sizes.
    pub sizes: Sizes,
    /// Steps over which it is averaged.
    pub steps: Window,
    /// Tokens read.
    pub tokens: Tokens,
    /// Whether each pixel is divided by its sum over all 77 tokens before any is dropped.
    pub normalise: bool,
}

/// When a segment belongs to the region. The segment that satisfies a rule best is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// It holds one of the points.
    AnyPoint,
    /// It holds at least `min` of the points.
    Share,
    /// Its mean of the map is at least `min` of the best segment's mean.
    Mean,
    /// At least `min` of its area reaches `level`.
    Covered,
    /// No segments: the pixels that reach `level`.
    Level,
}

/// From map and segments to the region of interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// How many of the map's highest pixels are points. Levels are shares of their mean.
    pub points: usize,
    /// When a segment belongs to the region.
    pub rule: Rule,
    /// See [`Rule`]; 0 to 1.
    pub min: f64,
    /// See [`Rule`]; a share of the points' mean, 0 to 1.
    pub level: f64,
    /// Whether segments are first split into their connected components.
    pub components: bool,
    /// Pixels at or above this share of the points' mean join the region whatever their segment; 0 lets none join.
    pub join: f64,
}

/// Stage 2: apply the edit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Steps.
    pub steps: usize,
    /// Guidance.
    pub scales: Guide,
    /// Solver; none is the checkpoint's own.
    #[serde(with = "kind")]
    pub scheduler: Option<SchedulerKind>,
    /// Attention regularisation in the region.
    pub regularise: Option<Regularise>,
    /// Noise-space blending outside the region.
    pub blend: Option<Blend>,
}

/// Which scores are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Eq. 3: `strength` is taken from the scores of the unrelated tokens.
    Penalise,
    /// Eq. 4: `strength` is added to the scores of the located words.
    Reward,
}

/// Lanes whose scores are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Biased {
    /// The text lane.
    Text,
    /// All three.
    All,
}

/// Attention regularisation (section 4.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regularise {
    /// Eq. 3 or eq. 4.
    pub mode: Mode,
    /// alpha.
    pub strength: f64,
    /// Which tokens are unrelated.
    pub tokens: Tokens,
    /// In which lanes.
    pub lanes: Biased,
    /// In layers of which sizes.
    pub sizes: Sizes,
    /// In which steps.
    pub steps: Window,
}

/// Noise-space blending: after a step, latents outside the region become the input's, noised to the same level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// After which steps.
    pub steps: Window,
    /// Latent pixels by which the region is first grown.
    pub grow: usize,
}

impl Preset {
    /// The preset of that name: `paper`, `official`, `fast` or `base`.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "paper" => Ok(Self::paper()),
            "official" => Ok(Self::official()),
            "fast" => Ok(Self::fast()),
            "base" => Ok(Self::base()),
            _ => Err(Error::Preset(format!(
                "there is no preset {name:?}; choose one of {}",
                Self::NAMES.join(", ")
            ))),
        }
    }

    /// Names that [`Preset::named`] knows.
    pub const NAMES: [&str; 4] = ["paper", "official", "fast", "base"];

    /// This preset with some fields replaced, as JSON of the same shape: objects are merged, all else is replaced.
    /// Unknown fields and values that do not make sense are errors.
    pub fn with(&self, changes: &serde_json::Value) -> Result<Self> {
        let mut value = serde_json::to_value(self).map_err(|e| Error::Preset(e.to_string()))?;
        let off = part_that_is_off(&value, changes);
        merge(&mut value, changes);
        let preset: Self = serde_json::from_value(value).map_err(|error| {
            Error::Preset(match off {
                Some(part) => format!(
                    "{error}; `{part}` is off in this preset: start from one that has it, or give all its fields"
                ),
                None => error.to_string(),
            })
        })?;
        preset.validate()?;
        Ok(preset)
    }
}

/// The first part without a value of which single fields are to be replaced.
fn part_that_is_off(preset: &serde_json::Value, changes: &serde_json::Value) -> Option<String> {
    let (preset, changes) = (preset.as_object()?, changes.as_object()?);
    changes.iter().find_map(|(name, change)| {
        let part = preset.get(name)?;
        if part.is_null() && change.is_object() {
            return Some(name.clone());
        }
        part_that_is_off(part, change).map(|inner| format!("{name}.{inner}"))
    })
}

fn merge(into: &mut serde_json::Value, changes: &serde_json::Value) {
    match (into, changes) {
        (serde_json::Value::Object(into), serde_json::Value::Object(changes)) => {
            for (key, value) in changes {
                merge(
                    into.entry(key.as_str()).or_insert(serde_json::Value::Null),
                    value,
                );
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}

/// Schedulers by the names that the command line uses.
mod kind {
    use limekiln_diffusion::scheduler::SchedulerKind;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        kind: &Option<SchedulerKind>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        kind.map(|kind| kind.to_string()).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<SchedulerKind>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|name| name.parse().map_err(D::Error::custom))
            .transpose()
    }
}
