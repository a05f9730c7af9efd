//! Down, mid and up blocks.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::attention::Projections;
use super::call::Call;
use super::resnet::{Resnet, Upsample};
use super::transformer::Transformer;
use crate::config::{Level, UnetConfig};
use crate::control::Part;
use crate::kernels::{Backend, Builder, Conv, Padding};
use crate::profile::{self, Kind};
use crate::pulse;

/// A residual block and, in blocks that attend, the spatial transformer after it.
#[derive(Clone, Debug)]
struct Layer {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

impl Layer {
    fn forward(&self, x: &Tensor, call: &mut Call<'_>) -> Result<Tensor> {
        let x = self.resnet.forward(x, Some(&call.time))?;
        pulse::beat();
        let x = match &self.transformer {
            Some(transformer) => transformer.forward(&x, call)?,
            None => return Ok(x),
        };
        pulse::beat();
        Ok(x)
    }
}

/// Builds the blocks of one U-Net, in order: the projections of the text are numbered as they come.
pub(super) struct Blocks<'a> {
    pub(super) config: &'a UnetConfig,
    pub(super) projections: Projections,
}

impl Blocks<'_> {
    fn resnet(&self, inputs: usize, level: &Level, build: &Builder) -> Result<Resnet> {
        let config = self.config;
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
            build,
        )
    }

    /// The layers of block `index` of `part`, whose residual blocks read so many channels each.
    fn layers(
        &mut self,
        (part, index): (Part, usize),
        inputs: impl IntoIterator<Item = usize>,
        level: &Level,
        build: &Builder,
    ) -> Result<Vec<Layer>> {
        let attends = match part {
            Part::Down => level.attends_down,
            Part::Mid => true,
            Part::Up => level.attends_up,
        };
        let mut layers = Vec::new();
        for (i, inputs) in inputs.into_iter().enumerate() {
            let resnet = self.resnet(inputs, level, &build.pp("resnets").pp(i))?;
            let place = (part, index, i);
            let build = build.pp("attentions").pp(i);
            let transformer = attends
                .then(|| Transformer::new(place, level, self.config, &mut self.projections, &build))
                .transpose()?;
            layers.push(Layer {
                resnet,
                transformer,
            });
        }
        Ok(layers)
    }

    /// Down block `index`, which reads `inputs` channels; all but the last one halve the size.
    pub(super) fn down(
        &mut self,
        index: usize,
        inputs: usize,
        level: &Level,
        build: &Builder,
    ) -> Result<DownBlock> {
        let widths = (0..level.layers).map(|i| if i == 0 { inputs } else { level.channels });
        let padding = match self.config.downsample_padding {
            0 => Padding::BottomRight,
            n => Padding::All(n),
        };
        let halves = index + 1 < self.config.levels.len();
        Ok(DownBlock {
            layers: self.layers((Part::Down, index), widths, level, build)?,
            downsample: halves
                .then(|| {
                    let build = build.pp("downsamplers").pp(0).pp("conv");
                    build.conv_strided(level.channels, level.channels, 3, 2, padding)
                })
                .transpose()?,
        })
    }

    /// The mid block.
    pub(super) fn mid(&mut self, level: &Level, build: &Builder) -> Result<MidBlock> {
        Ok(MidBlock {
            layers: self.layers((Part::Mid, 0), [level.channels], level, build)?,
            last: self.resnet(level.channels, level, &build.pp("resnets").pp(1))?,
        })
    }

    /// Up block `index`: `before` is the width of what comes from below, `skip` that of the last skip connection. All but
    /// the last block enlarge.
    pub(super) fn up(
        &mut self,
        index: usize,
        (before, skip): (usize, usize),
        level: &Level,
        build: &Builder,
    ) -> Result<UpBlock> {
        let widths = (0..=level.layers).map(|i| {
            let own = if i == 0 { before } else { level.channels };
            own + if i == level.layers {
                skip
            } else {
                level.channels
            }
        });
        let enlarges = index + 1 < self.config.levels.len();
        Ok(UpBlock {
            layers: self.layers((Part::Up, index), widths, level, build)?,
            upsample: enlarges
                .then(|| Upsample::new(level.channels, &build.pp("upsamplers").pp(0)))
                .transpose()?,
            backend: build.backend(),
        })
    }
}

/// `CrossAttnDownBlock2D` or `DownBlock2D`.
#[derive(Clone, Debug)]
pub(super) struct DownBlock {
    layers: Vec<Layer>,
    downsample: Option<Arc<dyn Conv>>,
}

impl DownBlock {
    /// Leaves every layer's output among the call's skips.
    pub(super) fn forward(&self, mut x: Tensor, call: &mut Call<'_>) -> Result<Tensor> {
        for layer in &self.layers {
            x = layer.forward(&x, call)?;
            call.skips.push(x.clone());
        }
        if let Some(conv) = &self.downsample {
            x = profile::layer(Kind::Conv3, &x, || conv.forward(&x))?;
            call.skips.push(x.clone());
        }
        Ok(x)
    }
}

/// `UNetMidBlock2DCrossAttn`.
#[derive(Clone, Debug)]
pub(super) struct MidBlock {
    layers: Vec<Layer>,
    last: Resnet,
}

impl MidBlock {
    pub(super) fn forward(&self, mut x: Tensor, call: &mut Call<'_>) -> Result<Tensor> {
        for layer in &self.layers {
            x = layer.forward(&x, call)?;
        }
        self.last.forward(&x, Some(&call.time))
    }
}

/// `CrossAttnUpBlock2D` or `UpBlock2D`.
#[derive(Clone, Debug)]
pub(super) struct UpBlock {
    layers: Vec<Layer>,
    upsample: Option<Upsample>,
    backend: &'static dyn Backend,
}

impl UpBlock {
    /// Takes one of the call's skips per layer, and enlarges to the size of the next one: sides need not divide evenly.
    pub(super) fn forward(&self, mut x: Tensor, call: &mut Call<'_>) -> Result<Tensor> {
        for layer in &self.layers {
            let Some(skip) = call.skips.pop() else {
                bail!("an up block has more layers than there are skips")
            };
            x = profile::layer(Kind::Join, &x, || self.backend.join(&x, &skip))?;
            x = layer.forward(&x, call)?;
        }
        match (&self.upsample, call.skips.last()) {
            (Some(upsample), Some(skip)) => {
                let (_, _, height, width) = skip.dims4()?;
                upsample.forward(&x, (height, width))
            }
            _ => Ok(x),
        }
    }
}
