//! The VAE, as diffusers' `AutoencoderKL` computes it.

use candle_core::{Result as Computed, Tensor};
use candle_nn::VarBuilder;

use crate::Error;
use crate::config::VaeConfig;
use crate::kernels::attention::{How, attend};
use crate::kernels::conv::{After, Before, Conv2d, Padding};
use crate::kernels::linear::Linear;
use crate::kernels::norm::GroupNorm;
use crate::kernels::{map, tokens};
use crate::unet::resnet::{Resnet, Upsample};

/// Epsilon of every normalisation, fixed in diffusers.
const EPS: f64 = 1e-6;

/// Pictures to latents and back.
#[derive(Clone, Debug)]
pub struct Vae {
    config: VaeConfig,
    encoder: Encoder,
    decoder: Decoder,
    quant: Option<Conv2d>,
    post_quant: Option<Conv2d>,
}

impl Vae {
    /// Reads the weights, named as diffusers names them.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or a tensor is missing or misshapen.
    pub fn new(vb: VarBuilder, config: &VaeConfig) -> Result<Self, Error> {
        config.check()?;
        let latent = config.latent_channels;
        let pointwise = |used: bool, channels: usize, name: &str| {
            used.then(|| Conv2d::new(channels, channels, 1, vb.pp(name)))
                .transpose()
        };
        Ok(Self {
            encoder: Encoder::new(config, vb.pp("encoder"))?,
            decoder: Decoder::new(config, vb.pp("decoder"))?,
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

fn resnet(inputs: usize, outputs: usize, config: &VaeConfig, vb: VarBuilder) -> Computed<Resnet> {
    Resnet::new(inputs, outputs, None, config.norm_num_groups, EPS, vb)
}

/// One head over all channels, around a residual.
#[derive(Clone, Debug)]
struct Attention {
    norm: GroupNorm,
    qkv: Linear,
    out: Linear,
}

impl Attention {
    fn new(channels: usize, groups: usize, vb: VarBuilder) -> Computed<Self> {
        let names = ["to_q", "to_k", "to_v"];
        let weights = names.map(|name| vb.pp(name).get((channels, channels), "weight"));
        let biases = names.map(|name| vb.pp(name).get(channels, "bias"));
        let cat = |parts: [Computed<Tensor>; 3]| -> Computed<Tensor> {
            Tensor::cat(&parts.into_iter().collect::<Computed<Vec<_>>>()?, 0)
        };
        Ok(Self {
            norm: GroupNorm::new(groups, channels, EPS, vb.pp("group_norm"))?,
            qkv: Linear::from_tensors(&cat(weights)?, Some(cat(biases)?))?,
            out: Linear::new(channels, channels, vb.pp("to_out").pp(0))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Computed<Tensor> {
        let (_, channels, height, width) = x.dims4()?;
        let qkv = self.qkv.forward(&tokens(&self.norm.forward(x)?)?)?;
        let part = |i: usize| qkv.narrow(2, i * channels, channels);
        let how = How {
            heads: 1,
            bias: None,
            probabilities: false,
        };
        let attended = attend(&part(0)?, &part(1)?, &part(2)?, how)?;
        map(
            &self.out.forward_add(&attended.values, &tokens(x)?)?,
            height,
            width,
        )
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
    fn new(channels: usize, config: &VaeConfig, vb: VarBuilder) -> Computed<Self> {
        Ok(Self {
            first: resnet(channels, channels, config, vb.pp("resnets").pp(0))?,
            attention: config
                .mid_block_add_attention
                .then(|| {
                    Attention::new(channels, config.norm_num_groups, vb.pp("attentions").pp(0))
                })
                .transpose()?,
            last: resnet(channels, channels, config, vb.pp("resnets").pp(1))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Computed<Tensor> {
        let mut x = self.first.forward(x, None)?;
        if let Some(attention) = &self.attention {
            x = attention.forward(&x)?;
        }
        self.last.forward(&x, None)
    }
}

#[derive(Clone, Debug)]
struct Encoder {
    conv_in: Conv2d,
    blocks: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    mid: Mid,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    fn new(config: &VaeConfig, vb: VarBuilder) -> Computed<Self> {
        let widths = &config.block_out_channels;
        let last = widths[widths.len() - 1];
        let mut inputs = widths[0];
        let mut blocks = Vec::new();
        for (i, &width) in widths.iter().enumerate() {
            let vb = vb.pp("down_blocks").pp(i);
            let resnets = (0..config.layers_per_block)
                .map(|j| {
                    resnet(
                        if j == 0 { inputs } else { width },
                        width,
                        config,
                        vb.pp("resnets").pp(j),
                    )
                })
                .collect::<Computed<_>>()?;
            let down = (i + 1 < widths.len()).then(|| {
                let vb = vb.pp("downsamplers").pp(0).pp("conv");
                Conv2d::strided(width, width, 3, 2, Padding::BottomRight, vb)
            });
            blocks.push((resnets, down.transpose()?));
            inputs = width;
        }
        Ok(Self {
            conv_in: Conv2d::new(config.in_channels, widths[0], 3, vb.pp("conv_in"))?,
            blocks,
            mid: Mid::new(last, config, vb.pp("mid_block"))?,
            norm_out: GroupNorm::new(config.norm_num_groups, last, EPS, vb.pp("conv_norm_out"))?,
            conv_out: Conv2d::new(last, 2 * config.latent_channels, 3, vb.pp("conv_out"))?,
        })
    }

    fn forward(&self, pixels: &Tensor) -> Computed<Tensor> {
        let mut x = self.conv_in.forward(pixels)?;
        for (resnets, down) in &self.blocks {
            for resnet in resnets {
                x = resnet.forward(&x, None)?;
            }
            if let Some(down) = down {
                x = down.forward(&x)?;
            }
        }
        x = self.mid.forward(&x)?;
        self.conv_out
            .forward_with(&x, Before::NormSilu(&self.norm_out), After::default())
    }
}

#[derive(Clone, Debug)]
struct Decoder {
    conv_in: Conv2d,
    mid: Mid,
    blocks: Vec<(Vec<Resnet>, Option<Upsample>)>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    fn new(config: &VaeConfig, vb: VarBuilder) -> Computed<Self> {
        let widths = &config.block_out_channels;
        let last = widths[widths.len() - 1];
        let mut inputs = last;
        let mut blocks = Vec::new();
        for (i, &width) in widths.iter().rev().enumerate() {
            let vb = vb.pp("up_blocks").pp(i);
            let resnets = (0..=config.layers_per_block)
                .map(|j| {
                    resnet(
                        if j == 0 { inputs } else { width },
                        width,
                        config,
                        vb.pp("resnets").pp(j),
                    )
                })
                .collect::<Computed<_>>()?;
            let up =
                (i + 1 < widths.len()).then(|| Upsample::new(width, vb.pp("upsamplers").pp(0)));
            blocks.push((resnets, up.transpose()?));
            inputs = width;
        }
        Ok(Self {
            conv_in: Conv2d::new(config.latent_channels, last, 3, vb.pp("conv_in"))?,
            mid: Mid::new(last, config, vb.pp("mid_block"))?,
            blocks,
            norm_out: GroupNorm::new(
                config.norm_num_groups,
                widths[0],
                EPS,
                vb.pp("conv_norm_out"),
            )?,
            conv_out: Conv2d::new(widths[0], config.out_channels, 3, vb.pp("conv_out"))?,
        })
    }

    fn forward(&self, latents: &Tensor) -> Computed<Tensor> {
        let mut x = self.mid.forward(&self.conv_in.forward(latents)?)?;
        for (resnets, up) in &self.blocks {
            for resnet in resnets {
                x = resnet.forward(&x, None)?;
            }
            if let Some(up) = up {
                let (_, _, height, width) = x.dims4()?;
                x = up.forward(&x, (2 * height, 2 * width))?;
            }
        }
        self.conv_out
            .forward_with(&x, Before::NormSilu(&self.norm_out), After::default())
    }
}
