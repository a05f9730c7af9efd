//! The VAE, as diffusers' `AutoencoderKL` computes it.

use std::sync::Arc;

use candle_core::{Result as Computed, Tensor};
use candle_nn::VarBuilder;

use crate::config::VaeConfig;
use crate::kernels::{self, After, Backend, Before, Builder, Conv, GroupNorm, Linear, Padding};
use crate::profile::{self, Kind};
use crate::unet::resnet::{Resnet, Upsample};
use crate::{Error, pulse};

/// Epsilon of every normalisation, fixed in diffusers.
const EPS: f64 = 1e-6;

/// Turns pictures into latents and back.
#[derive(Clone, Debug)]
pub struct Vae {
    config: VaeConfig,
    encoder: Encoder,
    decoder: Decoder,
    quant: Option<Arc<dyn Conv>>,
    post_quant: Option<Arc<dyn Conv>>,
}

impl Vae {
    /// Reads the weights, named as diffusers names them.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or a tensor is missing or misshapen.
    pub fn new(vb: VarBuilder, config: &VaeConfig) -> Result<Self, Error> {
        Self::build(&Builder::new(vb), config)
    }

    pub(crate) fn build(build: &Builder, config: &VaeConfig) -> Result<Self, Error> {
        config.check()?;
        let latent = config.latent_channels;
        let pointwise = |used: bool, channels: usize, name: &str| {
            used.then(|| build.pp(name).conv(channels, channels, 1))
                .transpose()
        };
        Ok(Self {
            encoder: Encoder::new(config, &build.pp("encoder"))?,
            decoder: Decoder::new(config, &build.pp("decoder"))?,
            quant: pointwise(config.use_quant_conv, 2 * latent, "quant_conv")?,
            post_quant: pointwise(config.use_post_quant_conv, latent, "post_quant_conv")?,
            config: config.clone(),
        })
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// The posterior's mode (its mean), unscaled: pixels `[n, 3, H, W]` in [-1, 1] to `[n, latent, H/f, W/f]`.
    ///
    /// # Errors
    /// When the sides are smaller than [`VaeConfig::factor`].
    pub fn encode_mode(&self, pixels: &Tensor) -> Result<Tensor, Error> {
        let mut x = self.encoder.forward(pixels)?;
        if let Some(quant) = &self.quant {
            x = quant.forward(&x)?;
        }
        Ok(x.narrow(1, 0, self.config.latent_channels)?.contiguous()?)
    }

    /// Latents `[n, latent, h, w]`, already divided by `scaling_factor`, to pixels `[n, 3, h*f, w*f]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor, Error> {
        let x = match &self.post_quant {
            Some(post_quant) => post_quant.forward(latents)?,
            None => latents.clone(),
        };
        Ok(self.decoder.forward(&x)?.contiguous()?)
    }
}

fn resnet(inputs: usize, outputs: usize, config: &VaeConfig, build: &Builder) -> Computed<Resnet> {
    Resnet::new(inputs, outputs, None, config.norm_num_groups, EPS, build)
}

/// The residual blocks of one resolution.
fn resnets(
    count: usize,
    inputs: usize,
    width: usize,
    config: &VaeConfig,
    build: &Builder,
) -> Computed<Vec<Resnet>> {
    let build = build.pp("resnets");
    (0..count)
        .map(|i| {
            resnet(
                if i == 0 { inputs } else { width },
                width,
                config,
                &build.pp(i),
            )
        })
        .collect()
}

/// The way out of both networks: normalisation, SiLU, convolution.
#[derive(Clone, Debug)]
struct Out {
    norm: GroupNorm,
    conv: Arc<dyn Conv>,
}

impl Out {
    fn new(inputs: usize, outputs: usize, config: &VaeConfig, build: &Builder) -> Computed<Self> {
        let norm = build.pp("conv_norm_out");
        Ok(Self {
            norm: norm.group_norm(config.norm_num_groups, inputs, EPS)?,
            conv: build.pp("conv_out").conv(inputs, outputs, 3)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Computed<Tensor> {
        profile::layer(Kind::Conv3, x, || {
            self.conv
                .forward_with(x, Before::NormSilu(&self.norm), After::default())
        })
    }
}

/// One head over all channels, around a residual.
#[derive(Clone, Debug)]
struct Attention {
    norm: GroupNorm,
    qkv: Arc<dyn Linear>,
    out: Arc<dyn Linear>,
    backend: &'static dyn Backend,
}

impl Attention {
    fn new(channels: usize, groups: usize, build: &Builder) -> Computed<Self> {
        Ok(Self {
            norm: build.pp("group_norm").group_norm(groups, channels, EPS)?,
            qkv: build.linear_joined(&["to_q", "to_k", "to_v"], channels, channels, true)?,
            out: build.pp("to_out").pp(0).linear(channels, channels)?,
            backend: build.backend(),
        })
    }

    fn forward(&self, x: &Tensor) -> Computed<Tensor> {
        let (_, channels, height, width) = x.dims4()?;
        let normed = profile::layer(Kind::GroupNorm, x, || {
            self.backend.group_norm(&self.norm, x)
        })?;
        let tokens = self.backend.tokens(&normed)?;
        let qkv = profile::layer(Kind::Linear, &tokens, || self.qkv.forward(&tokens))?;
        let part = |i: usize| qkv.narrow(2, i * channels, channels);
        let how = kernels::Attention::plain(1);
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let attended = profile::attention(Kind::SelfAttention, &queries, &keys, || {
            self.backend.attend(&queries, &keys, &values, how)
        })?
        .values;
        let pixels = self.backend.tokens(x)?;
        let y = profile::layer(Kind::Linear, &attended, || {
            self.out.forward_add(&attended, &pixels)
        })?;
        self.backend.map(&y, height, width)
    }
}

/// `UNetMidBlock2D`.
#[derive(Clone, Debug)]
struct Mid {
    first: Resnet,
    attention: Option<Attention>,
    last: Resnet,
}

impl Mid {
    fn new(channels: usize, config: &VaeConfig, build: &Builder) -> Computed<Self> {
        let resnet = |i: usize| resnet(channels, channels, config, &build.pp("resnets").pp(i));
        let attention = || {
            let build = build.pp("attentions").pp(0);
            Attention::new(channels, config.norm_num_groups, &build)
        };
        Ok(Self {
            first: resnet(0)?,
            attention: config.mid_block_add_attention.then(attention).transpose()?,
            last: resnet(1)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Computed<Tensor> {
        let mut x = self.first.forward(x, None)?;
        pulse::beat();
        if let Some(attention) = &self.attention {
            x = attention.forward(&x)?;
            pulse::beat();
        }
        self.last.forward(&x, None)
    }
}

/// The residual blocks of every resolution, and the change of size after each but the last.
type Resolutions<Resize> = Vec<(Vec<Resnet>, Option<Resize>)>;

#[derive(Clone, Debug)]
struct Encoder {
    conv_in: Arc<dyn Conv>,
    blocks: Resolutions<Arc<dyn Conv>>,
    mid: Mid,
    out: Out,
}

impl Encoder {
    fn new(config: &VaeConfig, build: &Builder) -> Computed<Self> {
        let widths = &config.block_out_channels;
        let last = widths[widths.len() - 1];
        let mut inputs = widths[0];
        let mut blocks = Vec::new();
        for (i, &width) in widths.iter().enumerate() {
            let build = build.pp("down_blocks").pp(i);
            let down = (i + 1 < widths.len()).then(|| {
                let build = build.pp("downsamplers").pp(0).pp("conv");
                build.conv_strided(width, width, 3, 2, Padding::BottomRight)
            });
            let count = config.layers_per_block;
            blocks.push((
                resnets(count, inputs, width, config, &build)?,
                down.transpose()?,
            ));
            inputs = width;
        }
        let conv_in = build.pp("conv_in");
        Ok(Self {
            conv_in: conv_in.conv(config.in_channels, widths[0], 3)?,
            blocks,
            mid: Mid::new(last, config, &build.pp("mid_block"))?,
            out: Out::new(last, 2 * config.latent_channels, config, build)?,
        })
    }

    fn forward(&self, pixels: &Tensor) -> Computed<Tensor> {
        let mut x = profile::layer(Kind::Conv3, pixels, || self.conv_in.forward(pixels))?;
        for (resnets, down) in &self.blocks {
            for resnet in resnets {
                x = resnet.forward(&x, None)?;
                pulse::beat();
            }
            if let Some(down) = down {
                x = profile::layer(Kind::Conv3, &x, || down.forward(&x))?;
            }
        }
        self.out.forward(&self.mid.forward(&x)?)
    }
}

#[derive(Clone, Debug)]
struct Decoder {
    conv_in: Arc<dyn Conv>,
    mid: Mid,
    blocks: Resolutions<Upsample>,
    out: Out,
}

impl Decoder {
    fn new(config: &VaeConfig, build: &Builder) -> Computed<Self> {
        let widths = &config.block_out_channels;
        let last = widths[widths.len() - 1];
        let mut inputs = last;
        let mut blocks = Vec::new();
        for (i, &width) in widths.iter().rev().enumerate() {
            let build = build.pp("up_blocks").pp(i);
            let up =
                (i + 1 < widths.len()).then(|| Upsample::new(width, &build.pp("upsamplers").pp(0)));
            let count = config.layers_per_block + 1;
            blocks.push((
                resnets(count, inputs, width, config, &build)?,
                up.transpose()?,
            ));
            inputs = width;
        }
        let conv_in = build.pp("conv_in");
        Ok(Self {
            conv_in: conv_in.conv(config.latent_channels, last, 3)?,
            mid: Mid::new(last, config, &build.pp("mid_block"))?,
            blocks,
            out: Out::new(widths[0], config.out_channels, config, build)?,
        })
    }

    fn forward(&self, latents: &Tensor) -> Computed<Tensor> {
        let x = profile::layer(Kind::Conv3, latents, || self.conv_in.forward(latents))?;
        let mut x = self.mid.forward(&x)?;
        for (resnets, up) in &self.blocks {
            for resnet in resnets {
                x = resnet.forward(&x, None)?;
                pulse::beat();
            }
            if let Some(up) = up {
                let (_, _, height, width) = x.dims4()?;
                x = up.forward(&x, (2 * height, 2 * width))?;
            }
        }
        self.out.forward(&x)
    }
}
