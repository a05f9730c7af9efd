//! Down, mid and up blocks.

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::TextContext;
use super::attention::Projections;
use super::resnet::{Resnet, Upsample};
use super::transformer::Transformer;
use crate::config::{Level, UnetConfig};
use crate::control::{Control, Part};
use crate::kernels::conv::{Conv2d, Padding};
use crate::kernels::join;

/// A residual block and, in blocks that attend, the spatial transformer after it.
#[derive(Clone, Debug)]
struct Layer {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

impl Layer {
    fn forward(
        &self,
        x: &Tensor,
        time: &Tensor,
        text: &TextContext,
        control: &mut dyn Control,
    ) -> Result<Tensor> {
        let x = self.resnet.forward(x, Some(time))?;
        match &self.transformer {
            Some(transformer) => transformer.forward(&x, text, control),
            None => Ok(x),
        }
    }
}

fn resnet(inputs: usize, level: &Level, config: &UnetConfig, vb: VarBuilder) -> Result<Resnet> {
    if !inputs.is_multiple_of(config.norm_num_groups) {
        bail!(
            "norm_num_groups: {} does not divide {inputs} channels",
            config.norm_num_groups
        );
    }
    let time = Some(config.time_embedding_dim);
    Resnet::new(
        inputs,
        level.channels,
        time,
        config.norm_num_groups,
        config.norm_eps,
        vb,
    )
}

/// `CrossAttnDownBlock2D` or `DownBlock2D`.
#[derive(Clone, Debug)]
pub(super) struct DownBlock {
    layers: Vec<Layer>,
    downsample: Option<Conv2d>,
}

impl DownBlock {
    pub(super) fn new(
        index: usize,
        inputs: usize,
        level: &Level,
        downsample: bool,
        config: &UnetConfig,
        projections: &mut Projections,
        vb: VarBuilder,
    ) -> Result<Self> {
        let mut layers = Vec::new();
        for i in 0..level.layers {
            let inputs = if i == 0 { inputs } else { level.channels };
            layers.push(Layer {
                resnet: resnet(inputs, level, config, vb.pp("resnets").pp(i))?,
                transformer: if level.attends_down {
                    let vb = vb.pp("attentions").pp(i);
                    Some(Transformer::new(
                        (Part::Down, index, i),
                        level,
                        config,
                        projections,
                        vb,
                    )?)
                } else {
                    None
                },
            });
        }
        let downsample = if downsample {
            let padding = match config.downsample_padding {
                0 => Padding::BottomRight,
                n => Padding::All(n),
            };
            let vb = vb.pp("downsamplers").pp(0).pp("conv");
            Some(Conv2d::strided(
                level.channels,
                level.channels,
                3,
                2,
                padding,
                vb,
            )?)
        } else {
            None
        };
        Ok(Self { layers, downsample })
    }

    /// Leaves every layer's output in `skips`.
    pub(super) fn forward(
        &self,
        x: Tensor,
        time: &Tensor,
        text: &TextContext,
        control: &mut dyn Control,
        skips: &mut Vec<Tensor>,
    ) -> Result<Tensor> {
        let mut x = x;
        for layer in &self.layers {
            x = layer.forward(&x, time, text, control)?;
            skips.push(x.clone());
        }
        if let Some(conv) = &self.downsample {
            x = conv.forward(&x)?;
            skips.push(x.clone());
        }
        Ok(x)
    }
}

/// `UNetMidBlock2DCrossAttn`.
#[derive(Clone, Debug)]
pub(super) struct MidBlock {
    first: Layer,
    last: Resnet,
}

impl MidBlock {
    pub(super) fn new(
        level: &Level,
        config: &UnetConfig,
        projections: &mut Projections,
        vb: VarBuilder,
    ) -> Result<Self> {
        let transformer = Transformer::new(
            (Part::Mid, 0, 0),
            level,
            config,
            projections,
            vb.pp("attentions").pp(0),
        )?;
        Ok(Self {
            first: Layer {
                resnet: resnet(level.channels, level, config, vb.pp("resnets").pp(0))?,
                transformer: Some(transformer),
            },
            last: resnet(level.channels, level, config, vb.pp("resnets").pp(1))?,
        })
    }

    pub(super) fn forward(
        &self,
        x: Tensor,
        time: &Tensor,
        text: &TextContext,
        control: &mut dyn Control,
    ) -> Result<Tensor> {
        let x = self.first.forward(&x, time, text, control)?;
        self.last.forward(&x, Some(time))
    }
}

/// `CrossAttnUpBlock2D` or `UpBlock2D`.
#[derive(Clone, Debug)]
pub(super) struct UpBlock {
    layers: Vec<Layer>,
    upsample: Option<Upsample>,
}

impl UpBlock {
    /// `before` is the width of what comes from below, `skip` that of the last skip connection.
    pub(super) fn new(
        index: usize,
        (before, skip): (usize, usize),
        level: &Level,
        upsample: bool,
        config: &UnetConfig,
        projections: &mut Projections,
        vb: VarBuilder,
    ) -> Result<Self> {
        let mut layers = Vec::new();
        for i in 0..=level.layers {
            let own = if i == 0 { before } else { level.channels };
            let joined = own
                + if i == level.layers {
                    skip
                } else {
                    level.channels
                };
            layers.push(Layer {
                resnet: resnet(joined, level, config, vb.pp("resnets").pp(i))?,
                transformer: if level.attends_up {
                    let vb = vb.pp("attentions").pp(i);
                    Some(Transformer::new(
                        (Part::Up, index, i),
                        level,
                        config,
                        projections,
                        vb,
                    )?)
                } else {
                    None
                },
            });
        }
        let upsample = if upsample {
            Some(Upsample::new(level.channels, vb.pp("upsamplers").pp(0))?)
        } else {
            None
        };
        Ok(Self { layers, upsample })
    }

    /// Takes one of `skips` per layer, and enlarges to the size of the next one: sides need not divide evenly.
    pub(super) fn forward(
        &self,
        x: Tensor,
        time: &Tensor,
        text: &TextContext,
        control: &mut dyn Control,
        skips: &mut Vec<Tensor>,
    ) -> Result<Tensor> {
        let mut x = x;
        for layer in &self.layers {
            let Some(skip) = skips.pop() else {
                bail!("an up block has more layers than there are skips")
            };
            x = layer.forward(&join(&x, &skip)?, time, text, control)?;
        }
        match (&self.upsample, skips.last()) {
            (Some(upsample), Some(skip)) => {
                let (_, _, height, width) = skip.dims4()?;
                upsample.forward(&x, (height, width))
            }
            _ => Ok(x),
        }
    }
}
