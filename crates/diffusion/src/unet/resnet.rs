//! Residual blocks and resizing: diffusers' `ResnetBlock2D`, `Downsample2D` and `Upsample2D`.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use crate::kernels::conv::{After, Before, Conv2d};
use crate::kernels::linear::Linear;
use crate::kernels::norm::GroupNorm;

/// Two normalised convolutions around a shift by time, and a shortcut.
#[derive(Clone, Debug)]
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Resnet {
    /// `time` is the width of the time embedding; the VAE has none.
    pub(crate) fn new(
        inputs: usize,
        outputs: usize,
        time: Option<usize>,
        groups: usize,
        eps: f64,
        vb: VarBuilder,
    ) -> Result<Self> {
        Ok(Self {
            norm1: GroupNorm::new(groups, inputs, eps, vb.pp("norm1"))?,
            conv1: Conv2d::new(inputs, outputs, 3, vb.pp("conv1"))?,
            time: time
                .map(|width| Linear::new(width, outputs, vb.pp("time_emb_proj")))
                .transpose()?,
            norm2: GroupNorm::new(groups, outputs, eps, vb.pp("norm2"))?,
            conv2: Conv2d::new(outputs, outputs, 3, vb.pp("conv2"))?,
            shortcut: if inputs == outputs {
                None
            } else {
                Some(Conv2d::new(inputs, outputs, 1, vb.pp("conv_shortcut"))?)
            },
        })
    }

    /// `x` `[rows, inputs, height, width]`, `time` `[rows, 1, width]` after SiLU.
    pub(crate) fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let shift = match (&self.time, time) {
            (Some(linear), Some(time)) => Some(linear.forward(time)?.squeeze(1)?),
            _ => None,
        };
        let after = After {
            shift: shift.as_ref(),
            residual: None,
        };
        let hidden = self
            .conv1
            .forward_with(x, Before::NormSilu(&self.norm1), after)?;
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(x)?,
            None => x.clone(),
        };
        let after = After {
            shift: None,
            residual: Some(&shortcut),
        };
        self.conv2
            .forward_with(&hidden, Before::NormSilu(&self.norm2), after)
    }
}

/// Nearest-neighbour enlargement, then a convolution.
#[derive(Clone, Debug)]
pub(crate) struct Upsample(Conv2d);

impl Upsample {
    /// Reads `conv`.
    pub(crate) fn new(channels: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self(Conv2d::new(channels, channels, 3, vb.pp("conv"))?))
    }

    /// To the given (height, width).
    pub(crate) fn forward(&self, x: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
        self.0
            .forward_with(x, Before::Resize(height, width), After::default())
    }
}
