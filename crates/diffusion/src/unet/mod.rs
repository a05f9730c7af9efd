//! The U-Net, as diffusers' `UNet2DConditionModel` computes it, with a [`Control`] in every attention layer.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `context` | keys and values of the texts |
//! | `call` | what every layer is handed in one call, and who shares it |
//! | `time` | the time embedding |
//! | `resnet` | residual blocks, shared with the VAE |
//! | `attention`, `transformer` | attention layers, spatial transformers |
//! | `blocks` | down, mid and up blocks |

mod attention;
mod blocks;
mod call;
mod context;
pub(crate) mod resnet;
mod time;
mod transformer;

use std::sync::Arc;

use candle_core::Tensor;
use candle_nn::VarBuilder;

use self::attention::Projections;
use self::blocks::{Blocks, DownBlock, MidBlock, UpBlock};
use self::call::Call;
use self::time::TimeEmbedding;
use crate::Error;
use crate::config::UnetConfig;
use crate::control::{Control, Member};
use crate::kernels::{After, Before, Builder, Conv, GroupNorm};
use crate::profile::{self, Kind};

pub use context::TextContext;

/// The denoising network.
#[derive(Clone, Debug)]
pub struct Unet {
    config: UnetConfig,
    time: TimeEmbedding,
    conv_in: Arc<dyn Conv>,
    down: Vec<DownBlock>,
    mid: MidBlock,
    up: Vec<UpBlock>,
    norm_out: GroupNorm,
    conv_out: Arc<dyn Conv>,
    projections: Projections,
}

impl Unet {
    /// Reads the weights, named as diffusers names them.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or a tensor is missing or misshapen.
    pub fn new(vb: VarBuilder, config: &UnetConfig) -> Result<Self, Error> {
        Self::build(&Builder::new(vb), config)
    }

    pub(crate) fn build(build: &Builder, config: &UnetConfig) -> Result<Self, Error> {
        config.check()?;
        let levels = &config.levels;
        let (finest, coarsest) = (&levels[0], &levels[levels.len() - 1]);
        let mut blocks = Blocks {
            config,
            projections: Projections::default(),
        };
        let mut down = Vec::new();
        let mut inputs = finest.channels;
        for (i, level) in levels.iter().enumerate() {
            down.push(blocks.down(i, inputs, level, &build.pp("down_blocks").pp(i))?);
            inputs = level.channels;
        }
        let mid = blocks.mid(coarsest, &build.pp("mid_block"))?;
        let mut up = Vec::new();
        let mut before = coarsest.channels;
        for (i, level) in levels.iter().rev().enumerate() {
            let finer = (levels.len() - 1).saturating_sub(i + 1);
            let widths = (before, levels[finer].channels);
            up.push(blocks.up(i, widths, level, &build.pp("up_blocks").pp(i))?);
            before = level.channels;
        }
        Ok(Self {
            time: TimeEmbedding::new(config, &build.pp("time_embedding"))?,
            conv_in: build
                .pp("conv_in")
                .conv(config.in_channels, finest.channels, 3)?,
            down,
            mid,
            up,
            norm_out: build.pp("conv_norm_out").group_norm(
                config.norm_num_groups,
                finest.channels,
                config.norm_eps,
            )?,
            conv_out: build
                .pp("conv_out")
                .conv(finest.channels, config.out_channels, 3)?,
            projections: blocks.projections,
            config: config.clone(),
        })
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &UnetConfig {
        &self.config
    }

    /// Keys and values of every layer that attends to the text, from text states `[rows, tokens, width]`.
    ///
    /// # Errors
    /// When the states are not as wide as the network wants.
    pub fn text(&self, states: &Tensor) -> Result<TextContext, Error> {
        Ok(TextContext::new(self.projections.project(states)?))
    }

    /// Predicts the noise (or the velocity): `sample` `[rows, in_channels, height, width]`, one timestep and one row of
    /// text per row; yields `[rows, out_channels, height, width]`. Rows do not influence each other.
    ///
    /// # Errors
    /// When shapes do not fit, or from `control`.
    pub fn forward(
        &self,
        sample: &Tensor,
        timesteps: &[f64],
        text: &TextContext,
        control: &mut dyn Control,
    ) -> Result<Tensor, Error> {
        let rows = sample.dim(0)?;
        self.forward_together(sample, timesteps, text, vec![Member { rows, control }])
    }

    /// The same for several `members`, whose rows lie one after another: each gets what it would have got alone, on a processor to
    /// the byte.
    ///
    /// # Errors
    /// When shapes do not fit, or from a member's control.
    pub fn forward_together(
        &self,
        sample: &Tensor,
        timesteps: &[f64],
        text: &TextContext,
        members: Vec<Member<'_>>,
    ) -> Result<Tensor, Error> {
        let (rows, channels, ..) = sample.dims4()?;
        let owned: usize = members.iter().map(|member| member.rows).sum();
        if owned != rows {
            return Err(Error::Candle(candle_core::Error::Msg(format!(
                "a call of {rows} rows, of which its members have {owned}"
            ))));
        }
        if channels != self.config.in_channels || timesteps.len() != rows || text.rows() != rows {
            return Err(Error::Candle(candle_core::Error::Msg(format!(
                "the U-Net wants {} channels and one timestep and text per row, not {channels} channels, {} timesteps \
                 and {} texts for {rows} rows",
                self.config.in_channels,
                timesteps.len(),
                text.rows(),
            ))));
        }
        let mut x = profile::layer(Kind::Conv3, sample, || self.conv_in.forward(sample))?;
        let time = &self.time;
        let mut call = Call {
            time: time.forward(timesteps, sample.dtype(), sample.device())?,
            text: text.clone(),
            members,
            skips: vec![x.clone()],
        };
        for block in &self.down {
            x = block.forward(x, &mut call)?;
        }
        x = self.mid.forward(x, &mut call)?;
        for block in &self.up {
            x = block.forward(x, &mut call)?;
        }
        let y = profile::layer(Kind::Conv3, &x, || {
            self.conv_out
                .forward_with(&x, Before::NormSilu(&self.norm_out), After::default())
        })?;
        Ok(y.contiguous()?)
    }
}
