//! Which network or work is measured, and how.

use candle_core::DType;
use limekiln_diffusion::checkpoint::Checkpoint;

use super::shape::Shape;
use crate::error::Result;

/// The network or the work that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// One call of the U-Net.
    Unet,
    /// The VAE, in and out.
    Vae,
    /// One call of the text encoder.
    Text,
    /// A whole edit.
    Edit,
    /// The segmentation of features.
    Segment,
    /// Opening a checkpoint, its fingerprint, and building its networks.
    Load,
}

/// How it is measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The network or the work.
    pub what: What,
    /// Sizes of the networks where no model is given.
    pub shape: Shape,
    /// Rows of the batch of the U-Net, the VAE and the text encoder.
    pub lanes: usize,
    /// Side of the square picture, in pixels.
    pub size: usize,
    /// Number type of the networks.
    pub dtype: DType,
    /// Timed calls; one more runs first.
    pub calls: usize,
    /// Whether the last call is split by kinds of layers.
    pub profile: bool,
    /// Preset of edits and of segmentation.
    pub preset: String,
}

/// Opens a checkpoint anew.
pub type Open = Box<dyn Fn() -> Result<Checkpoint>>;

/// Where weights come from.
pub enum Given {
    /// Weights are drawn at random, the same at every run.
    Random,
    /// A checkpoint is there to be loaded.
    Checkpoint {
        /// Opens it.
        open: Open,
        /// As [`Model::window_least`](limekiln_diffusion::model::Model::window_least).
        window_least: Option<usize>,
    },
}
