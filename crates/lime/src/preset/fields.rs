//! The fields of a preset.

use limekiln_diffusion::scheduler::SchedulerKind;
use serde::{Deserialize, Serialize};

use super::window::Window;

/// One way to edit. All fields may be changed; [`Preset::validate`] says whether they still make sense.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Where its numbers came from; only reported.
    pub name: String,
    /// Stage 1, or none: the picture is then edited as a whole, unless the request brings a mask.
    pub locate: Option<Locate>,
    /// Stage 2, which edits; none: nothing is denoised.
    pub edit: Option<Apply>,
    /// Recoloring the object at the picture's full size, where a color is asked for. With `edit` beside it, it is done where it is
    /// sure enough, and else the picture is edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recolor: Option<Recolor>,
}

/// Recoloring what the region points at, without denoising.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recolor {
    /// How sure it has to be of the object, 0 to 1. Where it is less, the picture is edited instead, or, in a preset without
    /// `edit`, recolored with a warning.
    pub sure: f64,
}

impl Default for Recolor {
    fn default() -> Self {
        Self { sure: 0.8 }
    }
}

/// Guidance of eq. 2: `none + text (eps_text - eps_image) + image (eps_image - eps_none)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guide {
    /// s_T: how far the prediction moves towards the instruction.
    pub text: f64,
    /// s_I: how far the prediction moves towards the picture.
    pub image: f64,
}

/// Stage 1: find the region of interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locate {
    /// What the U-Net is shown. With [`LocateFrom::Input`] one call is all of the stage: `steps`, `scales`, `scheduler` and the
    /// windows of steps are not read then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from: LocateFrom,
    /// The noise levels of [`LocateFrom::Input`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub levels: Levels,
    /// Seed of the stage's noise and of K-means; none is the edit's own. With one, and from the input, the segments are the
    /// same for every instruction and every seed of an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Steps of the whole run; it stops after the last one that is read.
    pub steps: usize,
    /// Guidance of the stage's steps.
    pub scales: Guide,
    /// The stage's solver; none is the checkpoint's own.
    pub scheduler: Option<SchedulerKind>,
    /// Side of the square grid on which segments and map meet.
    pub grid: usize,
    /// How maps are enlarged to the grid.
    pub corners: Corners,
    /// Which features are clustered into segments, and how.
    pub segments: Segmentation,
    /// The map that says where the instruction acts.
    pub map: MapSettings,
    /// From map and segments to the region.
    pub select: Select,
}

/// What the U-Net is shown in stage 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocateFrom {
    /// A guided run from noise, as published (section 4.1).
    #[default]
    Noise,
    /// The picture's own latents, noised to given levels, in one call without guidance.
    Input,
}

/// Training timesteps to which the picture's latents are noised, one draw each. Draw i of features and map has the same noise,
/// so that where both name one timestep the text and the image lane see the same latents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Levels {
    /// Of the image lanes whose features are clustered, summed over draws.
    pub features: Vec<usize>,
    /// Of the lanes that the map is made of, averaged over draws.
    pub map: Vec<usize>,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            features: vec![600],
            map: vec![600],
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_one(value: &f64) -> bool {
    *value == 1.0
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

/// Which parts of the U-Net are read.
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
pub enum FeatureSource {
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
    pub source: FeatureSource,
    /// Parts of the U-Net whose features are read.
    pub parts: Parts,
    /// Sizes of the layers whose features are read.
    pub sizes: Sizes,
    /// Steps over which they are averaged.
    pub steps: Window,
    /// How many clusters K-means makes, 1 to 64.
    pub clusters: usize,
    /// How often K-means starts anew (k-means++); the start of least inertia stays.
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
    /// `normalise` are not read then.
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
pub struct MapSettings {
    /// What it is made of.
    pub evidence: Evidence,
    /// Parts of the U-Net whose cross-attention is read.
    pub parts: Parts,
    /// Sizes of the layers whose attention is read.
    pub sizes: Sizes,
    /// Steps over which it is averaged.
    pub steps: Window,
    /// Which tokens' attention is read.
    pub tokens: Tokens,
    /// Of those tokens only these words of the instruction, whatever their case; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
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
    /// The share that [`Rule`] asks for, 0 to 1.
    pub min: f64,
    /// The value that a pixel must reach for [`Rule`], as a share of the points' mean, 0 to 1.
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
    /// Steps of the run.
    pub steps: usize,
    /// Guidance of the stage's steps.
    pub scales: Guide,
    /// The stage's solver; none is the checkpoint's own.
    pub scheduler: Option<SchedulerKind>,
    /// Attention regularisation in the region.
    pub regularise: Option<Regularise>,
    /// Noise-space blending outside the region.
    pub blend: Option<Blend>,
    /// Computing only around the region. It needs a region, and blending in every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<EditWindow>,
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
    /// Whether eq. 3 or eq. 4 is applied.
    pub mode: Mode,
    /// alpha: what is taken from, or added to, the scores before the softmax.
    pub strength: f64,
    /// Which tokens count as unrelated.
    pub tokens: Tokens,
    /// Lanes whose scores are moved.
    pub lanes: Biased,
    /// Sizes of the layers whose scores are moved.
    pub sizes: Sizes,
    /// Steps in which scores are moved.
    pub steps: Window,
}

/// Noise-space blending: after a step, latents outside the region become the input's, noised to the same level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// Steps after which the latents outside are replaced.
    pub steps: Window,
    /// By how many latent pixels the region is grown before.
    pub grow: usize,
    /// By how many more it is grown, so that a later matte that reaches beyond the region finds the edit there, not the input.
    #[serde(default, skip_serializing_if = "is_default")]
    pub matte: usize,
}

/// The rectangle of latents that stage 2 computes: with blending nothing outside the region is kept, so the U-Net is shown what lies
/// around the region alone. The first step computes the whole picture too, and compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EditWindow {
    /// Least side, in latent pixels; none is the model's own.
    pub least: Option<usize>,
    /// By how many latent pixels it exceeds the region as blending grows it, at least.
    pub margin: usize,
    /// The same as a share of the region's longer side, 0 to 1; the larger of the two counts.
    pub margin_share: f64,
    /// By what the margin is multiplied, 1 to 8, where a word of the instruction says that something goes ([`words::removes`]): what
    /// stood behind it has to be made up from what is around.
    ///
    /// [`words::removes`]: crate::words::removes
    #[serde(skip_serializing_if = "is_one")]
    pub removing: f64,
    /// The largest share of the picture that it takes, 0 to 1: a larger one would not pay, so the whole picture is computed.
    pub area: f64,
    /// By how much the first guided prediction inside the region may differ from that of the whole picture, as a share of its own
    /// size. Beyond it the whole picture is computed.
    ///
    /// Drawn rooms give no number for it: in 100 of them, each edited in its window and whole, the difference (0.03 to 1.1) does not
    /// tell the error (rank correlation -0.14), and the five above 0.5 came nearer to the color asked for by the window. It stands
    /// for checkpoints that we have not seen. `eval rooms --json --presets 'fast+edit.window={"bound":1000000},fast+edit.window=null'`
    /// gives both of every room.
    pub bound: f64,
}

impl Default for EditWindow {
    fn default() -> Self {
        Self {
            least: None,
            margin: 4,
            margin_share: 0.25,
            removing: 1.0,
            area: 0.8,
            bound: 0.5,
        }
    }
}
