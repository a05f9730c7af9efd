//! What every layer of the U-Net is handed in one call.

use candle_core::Tensor;

use super::context::TextContext;
use crate::control::Control;

/// One call of the U-Net.
pub(super) struct Call<'a> {
    /// The time embedding, `[rows, 1, dim]`, SiLU applied.
    pub(super) time: Tensor,
    pub(super) text: &'a TextContext,
    pub(super) control: &'a mut dyn Control,
    /// Outputs of the way down that the way up has not yet taken, the last one on top.
    pub(super) skips: Vec<Tensor>,
}
