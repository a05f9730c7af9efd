//! What happened in an edit.

use image::RgbImage;
use limekiln_pictures::Mask;
use serde::{Deserialize, Serialize};

pub use crate::timings::Timings;
use crate::{known::Kind, preset::Preset, window::Rect};

/// What happened in an edit, for people and for machines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// All settings that the edit ran with.
    pub preset: Preset,
    /// Seed of the noise and of the clustering.
    pub seed: u64,
    /// The instruction as it was asked for.
    pub instruction: String,
    /// Width and height of the picture that was edited.
    pub size: (u32, u32),
    /// How many U-Net calls were made.
    pub steps: Steps,
    /// How long each stage took.
    pub timings: Timings,
    /// Tokens that were read to locate; none without localisation.
    pub tokens_read: Vec<String>,
    /// Tokens that were penalised, or rewarded, in the region; none without regularisation.
    pub tokens_moved: Vec<String>,
    /// Words that were located.
    pub words: Vec<String>,
    /// Share of the picture that the region takes.
    pub roi_share: Option<f64>,
    /// Inertia of the clustering: the sum of squared distances to the centres.
    pub inertia: Option<f64>,
    /// What stage 2 computed, where the preset asks for a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowReport>,
    /// Lanes that the U-Net computed in both stages, those of a window by its share of the picture.
    pub lanes: f64,
    /// Which way was taken, where the preset can recolor and edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// How far the model's picture is from the input; none where nothing was denoised.
    pub change: Option<Change>,
    /// What an earlier edit of the picture had computed, so that this one did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reused: Vec<Kind>,
    /// The edit whose region it is, where that was found for other words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_from: Option<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What computed; none where no network ran.
    #[serde(flatten)]
    pub engine: Option<Engine>,
}

impl Report {
    /// Of an edit for which no network ran.
    pub(crate) fn unrun(
        (preset, seed, instruction): (Preset, u64, &str),
        size: (u32, u32),
        way: Option<Way>,
    ) -> Self {
        Self {
            preset,
            seed,
            instruction: instruction.to_owned(),
            size,
            steps: Steps::default(),
            timings: Timings::default(),
            tokens_read: Vec::new(),
            tokens_moved: Vec::new(),
            words: Vec::new(),
            roi_share: None,
            inertia: None,
            window: None,
            lanes: 0.0,
            way,
            change: None,
            reused: Vec::new(),
            region_from: None,
            warnings: Vec::new(),
            engine: None,
        }
    }
}

/// What computed an edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// Name of the checkpoint.
    pub model: String,
    /// Fingerprint of the checkpoint's files.
    pub fingerprint: String,
    /// Kind of the device that the networks ran on: `cpu`, `cuda` or `metal`.
    pub device: String,
    /// Number type of the networks, `f32`, `bf16` or `f16`, and the processor's instructions where their results have bits of their own:
    /// `bf16-amx`, `bf16-avx512`.
    pub dtype: String,
    /// Solver of the edit stage.
    pub scheduler: String,
}

/// Which way an edit went whose preset can recolor and edit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// Whether it was recolored; else it was edited.
    pub recolored: bool,
    /// Why.
    pub why: Why,
    /// How sure the object was, 0 to 1; none where none was found or looked for.
    pub sure: Option<f64>,
    /// How sure it had to be.
    pub least: f64,
}

/// Why a way was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The object was sure enough.
    Sure,
    /// It was not.
    NotSure,
    /// No object was found.
    NothingFound,
    /// No color was asked for, or more than a change of color.
    NotAsked,
}

impl Why {
    /// Whether it is recolored for this reason.
    pub fn recolors(self) -> bool {
        self == Self::Sure
    }
}

impl Way {
    pub(crate) fn new(why: Why, sure: Option<f64>, least: f64) -> Self {
        Self {
            recolored: why.recolors(),
            why,
            sure,
            least,
        }
    }
}

/// U-Net calls by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// U-Net calls that located the region.
    pub locate: usize,
    /// U-Net calls that edited.
    pub edit: usize,
}

/// What stage 2 computed of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WindowReport {
    /// The window that was chosen, in latent pixels.
    pub rect: Option<Rect>,
    /// By how much its first prediction inside the region differed from the whole picture's, as a share of that one's size. The call
    /// that found out is not among `steps`.
    pub difference: Option<f64>,
    /// Why the whole picture was computed; none where it was not.
    pub whole: Option<RanWhole>,
}

/// Why the whole picture was computed where the preset asks for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RanWhole {
    /// There is no region, or nothing in it.
    NoRegion,
    /// Latents outside the region are not replaced after every step.
    NotBlended,
    /// The window would take so much of the picture that it would not pay.
    Area,
    /// The window's first prediction differed by more than the bound.
    Difference,
}

/// Mean absolute differences of the result from the input, over pixels and channels, 0 to 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Over the whole picture.
    pub whole: f64,
    /// Inside the region; none where there is no region.
    pub inside: Option<f64>,
    /// Outside the region; none where there is no region.
    pub outside: Option<f64>,
}

/// Mean absolute differences of two pictures of one size; `roi` has that size too.
pub fn change(before: &RgbImage, after: &RgbImage, roi: Option<&Mask>) -> Change {
    // Inside, outside: sum and count.
    let mut sums = [(0u64, 0u64); 2];
    for (index, (before, after)) in before.pixels().zip(after.pixels()).enumerate() {
        let inside = roi.is_some_and(|roi| roi.inside().get(index).copied().unwrap_or(false));
        let sum = &mut sums[usize::from(!inside)];
        sum.0 += before
            .0
            .iter()
            .zip(after.0)
            .map(|(a, b)| u64::from(a.abs_diff(b)))
            .sum::<u64>();
        sum.1 += 3;
    }
    let mean = |(sum, count): (u64, u64)| (count > 0).then(|| sum as f64 / count as f64);
    let [inside, outside] = sums;
    let whole = mean((inside.0 + outside.0, inside.1 + outside.1)).unwrap_or(0.0);
    let known = |value: Option<f64>| value.filter(|_| roi.is_some());
    Change {
        whole,
        inside: known(mean(inside)),
        outside: known(mean(outside)),
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn changes_are_means_over_their_own_side() {
        let before = RgbImage::from_pixel(4, 2, Rgb([100; 3]));
        let after = RgbImage::from_fn(4, 2, |x, _| Rgb([if x == 0 { 130 } else { 98 }, 100, 100]));
        let roi = Mask::new(4, 2, (0..8).map(|i| i % 4 == 0).collect());
        assert_eq!(
            change(&before, &after, Some(&roi)),
            Change {
                whole: 3.0,
                inside: Some(10.0),
                outside: Some(2.0 / 3.0)
            }
        );
        assert_eq!(
            change(&before, &after, None),
            Change {
                whole: 3.0,
                inside: None,
                outside: None
            }
        );
        let everything = Mask::new(4, 2, vec![true; 8]);
        assert_eq!(change(&before, &after, Some(&everything)).outside, None);
    }
}
