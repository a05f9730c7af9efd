//! Convolutions and the group normalisation before them, one candle operation after the other.

use candle_core::{Result, Tensor};
use candle_nn::Module;

use crate::kernels::backend::{After, Before, Conv, GroupNorm, Padding};

/// The weights as a checkpoint has them.
#[derive(Debug)]
pub(super) struct CandleConv {
    /// `[outputs, inputs, kernel, kernel]`
    pub(super) weight: Tensor,
    /// `[outputs]`
    pub(super) bias: Tensor,
    pub(super) stride: usize,
    pub(super) padding: Padding,
}

impl Conv for CandleConv {
    fn forward_with(&self, x: &Tensor, before: Before<'_>, after: After<'_>) -> Result<Tensor> {
        let x = match before {
            Before::Nothing => x.contiguous()?,
            Before::NormSilu(norm) => candle_nn::ops::silu(&group_norm(norm, x)?)?,
            Before::Resize(height, width) => x.contiguous()?.upsample_nearest2d(height, width)?,
        };
        let (x, padding) = match self.padding {
            Padding::All(n) => (x, n),
            Padding::BottomRight => (x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?, 0),
        };
        let y = x.conv2d(&self.weight, padding, self.stride, 1, 1)?;
        let base = match after.shift {
            Some(shift) => shift.broadcast_add(&self.bias)?,
            None => self.bias.unsqueeze(0)?,
        };
        let y = y.broadcast_add(&base.unsqueeze(2)?.unsqueeze(3)?)?;
        match after.residual {
            Some(residual) => y + residual,
            None => Ok(y),
        }
    }
}

/// Normalises `[rows, channels, height, width]`.
pub(super) fn group_norm(norm: &GroupNorm, x: &Tensor) -> Result<Tensor> {
    candle_nn::GroupNorm::new(
        norm.weight.clone(),
        norm.bias.clone(),
        norm.weight.dim(0)?,
        norm.groups,
        norm.eps,
    )?
    .forward(&x.contiguous()?)
}
