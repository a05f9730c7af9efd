//! What an edit is asked for.

use image::{GrayImage, RgbImage};
use limekiln_diffusion::scheduler::SchedulerKind;

use crate::found::Full;
use crate::preset::Preset;

/// One edit, as asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The picture at working size: sides are multiples of the model's factor.
    pub image: RgbImage,
    /// What to do, in words.
    pub instruction: String,
    /// Seed of the noise, and of the clustering unless the preset gives locating its own.
    pub seed: u64,
    /// How to do it.
    pub preset: Preset,
    /// A region in place of localisation, of the image's size; at least 128 is inside.
    pub mask: Option<GrayImage>,
    /// A solver in place of the preset's and the checkpoint's.
    pub scheduler: Option<SchedulerKind>,
    /// The full-size picture, and what it is to be recolored in where the object is sure enough: of a preset that edits where
    /// it is not.
    pub full: Option<Full>,
    /// Whether the input's own latents are decoded, too, so that the result can be compared with what the decoder makes of them.
    pub beside: bool,
}

impl Request {
    /// Seed of stage 1: its own, or else the edit's.
    pub(crate) fn locate_seed(&self) -> u64 {
        let own = self.preset.locate.as_ref().and_then(|locate| locate.seed);
        own.unwrap_or(self.seed)
    }
}
