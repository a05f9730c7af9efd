//! What a step hands to the U-Net.

use candle_core::Tensor;
use limekiln_diffusion::unet::TextContext;

use crate::observer::AttentionObserver;

/// One edit's rows of a U-Net call.
pub struct Inputs {
    /// `[rows, in_channels, h, w]`, in the model's dtype.
    pub sample: Tensor,
    /// The timestep of each row.
    pub timesteps: Vec<f64>,
    /// Keys and values of the rows' texts.
    pub text: TextContext,
    /// What the call is to do in attention for these rows. It reads; hand it to
    /// [`Edit::advance`](super::Edit::advance).
    pub observer: AttentionObserver,
}
