//! Residual blocks and resizing: diffusers' `ResnetBlock2D`, `Downsample2D` and `Upsample2D`.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use crate::kernels::{After, Before, Builder, Conv, GroupNorm, Linear};
use crate::profile::{self, Kind};

/// Two normalised convolutions around a shift by time, and a shortcut.
#[derive(Clone, Debug)]
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Arc<dyn Conv>,
    time: Option<Arc<dyn Linear>>,
    norm2: GroupNorm,
    conv2: Arc<dyn Conv>,
    shortcut: Option<Arc<dyn Conv>>,
}

impl Resnet {
    /// `time` is the width of the time embedding; the VAE has none.
    pub(crate) fn new(
        inputs: usize,
        outputs: usize,
        time: Option<usize>,
        groups: usize,
        eps: f64,
        build: &Builder,
    ) -> Result<Self> {
        Ok(Self {
            norm1: build.pp("norm1").group_norm(groups, inputs, eps)?,
            conv1: build.pp("conv1").conv(inputs, outputs, 3)?,
            time: time
                .map(|width| build.pp("time_emb_proj").linear(width, outputs))
                .transpose()?,
            norm2: build.pp("norm2").group_norm(groups, outputs, eps)?,
            conv2: build.pp("conv2").conv(outputs, outputs, 3)?,
            shortcut: (inputs != outputs)
                .then(|| build.pp("conv_shortcut").conv(inputs, outputs, 1))
                .transpose()?,
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
        let hidden = profile::layer(Kind::Conv3, x, || {
            self.conv1
                .forward_with(x, Before::NormSilu(&self.norm1), after)
        })?;
        let shortcut = match &self.shortcut {
            Some(conv) => profile::layer(Kind::Conv1, x, || conv.forward(x))?,
            None => x.clone(),
        };
        let after = After {
            shift: None,
            residual: Some(&shortcut),
        };
        profile::layer(Kind::Conv3, &hidden, || {
            self.conv2
                .forward_with(&hidden, Before::NormSilu(&self.norm2), after)
        })
    }
}

/// Nearest-neighbour enlargement, then a convolution.
#[derive(Clone, Debug)]
pub(crate) struct Upsample(Arc<dyn Conv>);

impl Upsample {
    /// Reads `conv`.
    pub(crate) fn new(channels: usize, build: &Builder) -> Result<Self> {
        Ok(Self(build.pp("conv").conv(channels, channels, 3)?))
    }

    /// To the given (height, width).
    pub(crate) fn forward(&self, x: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
        profile::layer(Kind::Conv3, x, || {
            self.0
                .forward_with(x, Before::Resize(height, width), After::default())
        })
    }
}
