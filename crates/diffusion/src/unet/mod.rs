//! The U-Net, as diffusers' `UNet2DConditionModel` computes it, with a [`Control`] in every attention layer.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `time` | the time embedding |
//! | `resnet` | residual blocks, shared with the VAE |
//! | `attention`, `transformer` | attention layers, spatial transformers |
//! | `blocks` | down, mid and up blocks |

mod attention;
mod blocks;
pub(crate) mod resnet;
mod time;
mod transformer;

use candle_core::{Tensor, bail};
use candle_nn::VarBuilder;

use self::attention::Projections;
use self::blocks::{DownBlock, MidBlock, UpBlock};
use self::time::TimeEmbedding;
use crate::Error;
use crate::config::UnetConfig;
use crate::control::Control;
use crate::kernels::conv::{After, Before, Conv2d};
use crate::kernels::norm::GroupNorm;

/// Keys and values of every layer that attends to the text: computed once per edit, read at every step.
#[derive(Clone, Debug)]
pub struct TextContext {
    /// Per layer `[rows, tokens, 2 * channels]`, keys first.
    layers: Vec<Tensor>,
}

impl TextContext {
    /// Stacks the rows of several.
    ///
    /// # Errors
    /// When there is none, or when they come from different networks or numbers of tokens.
    pub fn cat(contexts: &[&Self]) -> Result<Self, Error> {
        let Some(first) = contexts.first() else {
            return Err(Error::Candle(candle_core::Error::Msg(
                "no text contexts to stack".into(),
            )));
        };
        let layers = (0..first.layers.len())
            .map(|i| {
                let parts: Option<Vec<&Tensor>> =
                    contexts.iter().map(|c| c.layers.get(i)).collect();
                match parts {
                    Some(parts) => Tensor::cat(&parts, 0),
                    None => bail!("text contexts come from different networks"),
                }
            })
            .collect::<candle_core::Result<_>>()?;
        Ok(Self { layers })
    }

    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.layers
            .first()
            .and_then(|layer| layer.dim(0).ok())
            .unwrap_or(0)
    }

    fn layer(&self, index: usize) -> candle_core::Result<&Tensor> {
        match self.layers.get(index) {
            Some(layer) => Ok(layer),
            None => bail!("this text context comes from another network"),
        }
    }
}

/// The denoising network.
#[derive(Clone, Debug)]
pub struct Unet {
    config: UnetConfig,
    time: TimeEmbedding,
    conv_in: Conv2d,
    down: Vec<DownBlock>,
    mid: MidBlock,
    up: Vec<UpBlock>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    projections: Projections,
}

impl Unet {
    /// Reads the weights, named as diffusers names them.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or a tensor is missing or misshapen.
    pub fn new(vb: VarBuilder, config: &UnetConfig) -> Result<Self, Error> {
        config.check()?;
        let levels = &config.levels;
        let (finest, coarsest) = (&levels[0], &levels[levels.len() - 1]);
        let mut projections = Projections::default();
        let mut down = Vec::new();
        let mut inputs = finest.channels;
        for (i, level) in levels.iter().enumerate() {
            let last = i + 1 == levels.len();
            down.push(DownBlock::new(
                i,
                inputs,
                level,
                !last,
                config,
                &mut projections,
                vb.pp("down_blocks").pp(i),
            )?);
            inputs = level.channels;
        }
        let mid = MidBlock::new(coarsest, config, &mut projections, vb.pp("mid_block"))?;
        let mut up = Vec::new();
        let mut before = coarsest.channels;
        for (i, level) in levels.iter().rev().enumerate() {
            let last = i + 1 == levels.len();
            let skip = if last {
                finest.channels
            } else {
                levels[levels.len() - 2 - i].channels
            };
            up.push(UpBlock::new(
                i,
                (before, skip),
                level,
                !last,
                config,
                &mut projections,
                vb.pp("up_blocks").pp(i),
            )?);
            before = level.channels;
        }
        Ok(Self {
            time: TimeEmbedding::new(config, vb.pp("time_embedding"))?,
            conv_in: Conv2d::new(config.in_channels, finest.channels, 3, vb.pp("conv_in"))?,
            down,
            mid,
            up,
            norm_out: GroupNorm::new(
                config.norm_num_groups,
                finest.channels,
                config.norm_eps,
                vb.pp("conv_norm_out"),
            )?,
            conv_out: Conv2d::new(finest.channels, config.out_channels, 3, vb.pp("conv_out"))?,
            projections,
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
        Ok(TextContext {
            layers: self.projections.project(states)?,
        })
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
        let (rows, channels, ..) = sample.dims4()?;
        if channels != self.config.in_channels || timesteps.len() != rows || text.rows() != rows {
            return Err(Error::Candle(candle_core::Error::Msg(format!(
                "the U-Net wants {} channels and one timestep and text per row, not {channels} channels, {} timesteps \
                 and {} texts for {rows} rows",
                self.config.in_channels,
                timesteps.len(),
                text.rows(),
            ))));
        }
        let time = self
            .time
            .forward(timesteps, sample.dtype(), sample.device())?;
        let mut x = self.conv_in.forward(sample)?;
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(x, &time, text, control, &mut skips)?;
        }
        x = self.mid.forward(x, &time, text, control)?;
        for block in &self.up {
            x = block.forward(x, &time, text, control, &mut skips)?;
        }
        let y =
            self.conv_out
                .forward_with(&x, Before::NormSilu(&self.norm_out), After::default())?;
        Ok(y.contiguous()?)
    }
}
