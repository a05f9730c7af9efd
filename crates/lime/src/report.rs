//! What happened in an edit.

use image::RgbImage;
use limekiln_diffusion::model::Model;
use limekiln_pictures::Mask;
use serde::{Deserialize, Serialize};

use crate::{
    edit::{Edit, Setup},
    preset::{Evidence, Preset},
    words,
};

/// What happened in an edit, for people and for machines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// All settings.
    pub preset: Preset,
    /// Of the noise and of the clustering.
    pub seed: u64,
    /// As asked for.
    pub instruction: String,
    /// Width and height of the picture that was edited.
    pub size: (u32, u32),
    /// U-Net calls made.
    pub steps: Steps,
    /// Milliseconds.
    pub timings: Timings,
    /// Tokens that were read to locate; none without localisation.
    pub tokens_read: Vec<String>,
    /// Tokens that were penalised, or rewarded, in the region; none without regularisation.
    pub tokens_moved: Vec<String>,
    /// Words that were located.
    pub words: Vec<String>,
    /// Share of the picture that the region takes.
    pub roi_share: Option<f64>,
    /// Sum of squared distances of the clustering.
    pub inertia: Option<f64>,
    /// How far the result is from the input.
    pub change: Change,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// The checkpoint.
    pub model: String,
    /// Hash of its weights.
    pub fingerprint: String,
    /// Where it ran.
    pub device: String,
    /// Of the networks.
    pub dtype: String,
    /// Solver of the edit stage.
    pub scheduler: String,
}

/// U-Net calls by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// To find the region.
    pub locate: usize,
    /// To edit.
    pub edit: usize,
}

/// Milliseconds by stage, over all runs of an edit that was resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Picture and instruction.
    pub encode_ms: f64,
    /// Localisation, without the clustering.
    pub locate_ms: f64,
    /// Clustering.
    pub segment_ms: f64,
    /// Editing.
    pub edit_ms: f64,
    /// Latents to picture.
    pub decode_ms: f64,
}

/// Mean absolute differences of the result from the input, over pixels and channels, 0 to 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Everywhere.
    pub whole: f64,
    /// Inside the region; none without one.
    pub inside: Option<f64>,
    /// Outside the region; none without one.
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

/// A region of more than this share is nearly everything.
const NEARLY_ALL: f64 = 0.9;
/// A region of less than this share is nearly nothing.
const NEARLY_NONE: f64 = 0.001;

fn warnings(setup: &Setup, roi: Option<&Mask>) -> Vec<String> {
    let preset = &setup.request.preset;
    let mut warnings = Vec::new();
    if let Some(cut) = &setup.encoding.cut {
        warnings.push(format!(
            "the instruction is too long; this was cut: {cut:?}"
        ));
    }
    let unread = |locate: &crate::preset::Locate| {
        setup.request.mask.is_none()
            && locate.map.evidence == Evidence::Attention
            && setup.selection(locate.map.tokens).read.is_empty()
    };
    let unmoved = preset
        .edit
        .regularise
        .as_ref()
        .is_some_and(|regularise| setup.selection(regularise.tokens).penalised.is_empty());
    if preset.locate.as_ref().is_some_and(unread) {
        warnings.push(
            "no word of the instruction says where to edit; edited without localisation".into(),
        );
    } else if unmoved {
        warnings.push(
            "every word of the instruction is a stop word; attention was not regularised".into(),
        );
    }
    if let Some(share) = roi.map(Mask::share) {
        let percent = 100.0 * share;
        if share > NEARLY_ALL {
            warnings.push(format!(
                "the region is nearly the whole picture ({percent:.1} %)"
            ));
        } else if share < NEARLY_NONE {
            warnings.push(format!(
                "the region is nearly nothing ({percent:.2} % of the picture)"
            ));
        }
    }
    warnings
}

impl Report {
    /// All but the change.
    pub(crate) fn new(model: &Model, edit: &Edit) -> Self {
        let setup = &edit.setup;
        let request = &setup.request;
        let read = setup
            .locate()
            .filter(|locate| locate.map.evidence == Evidence::Attention);
        let read = read
            .map(|locate| setup.selection(locate.map.tokens).read)
            .unwrap_or_default();
        let moved = edit
            .bias
            .as_ref()
            .map(|bias| bias.positions())
            .unwrap_or_default();
        Self {
            preset: request.preset.clone(),
            seed: request.seed,
            instruction: request.instruction.clone(),
            size: request.image.dimensions(),
            steps: Steps {
                locate: edit.located,
                edit: edit.run.step(),
            },
            timings: edit.timings,
            tokens_read: words::text_at(&setup.encoding, &read),
            tokens_moved: words::text_at(&setup.encoding, moved),
            words: words::words_at(&setup.encoding, &read),
            roi_share: edit.found.roi.as_ref().map(Mask::share),
            inertia: edit.found.inertia,
            change: Change::default(),
            warnings: warnings(setup, edit.found.roi.as_ref()),
            model: model.name.clone(),
            fingerprint: model.fingerprint.clone(),
            device: device(&setup.device).into(),
            dtype: setup.dtype.as_str().into(),
            scheduler: setup.solver_name(),
        }
    }
}

fn device(device: &candle_core::Device) -> &'static str {
    match device {
        candle_core::Device::Cpu => "cpu",
        candle_core::Device::Cuda(_) => "cuda",
        candle_core::Device::Metal(_) => "metal",
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
