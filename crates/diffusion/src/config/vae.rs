//! The VAE's configuration.

use serde::Deserialize;
use serde_json::Value;

use super::read::{divides, only, parse, positive, typed};
use crate::Error;

/// An `AutoencoderKL`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Channels of the picture.
    pub in_channels: usize,
    /// Channels of the decoded picture.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels per resolution, the finest first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks per resolution in the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Latents of the U-Net are these times the VAE's.
    pub scaling_factor: f64,
    /// Whether a 1x1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1x1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the mid blocks have an attention layer.
    pub mid_block_add_attention: bool,
}

impl Default for VaeConfig {
    /// diffusers' defaults, which it leaves out of the file.
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![64],
            layers_per_block: 1,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

impl VaeConfig {
    /// Reads `vae/config.json`.
    ///
    /// # Errors
    /// When the text is no such configuration, or asks for a network that is not implemented; it names the key.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let value = parse(json)?;
        for key in ["shift_factor", "latents_mean", "latents_std"] {
            only(&value, key, &[Value::Null])?;
        }
        only(&value, "act_fn", &["silu".into(), "swish".into()])?;
        let config: Self = typed(value.clone())?;
        for (key, wanted) in [
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ] {
            let types: Vec<String> = match value.get(key).filter(|types| !types.is_null()) {
                Some(types) => typed(types.clone())?,
                None => vec![wanted.into()],
            };
            if let Some(other) = types.iter().find(|kind| *kind != wanted) {
                return Err(Error::config(
                    key,
                    format!("{other} is not supported, only {wanted}"),
                ));
            }
            let (blocks, widths) = (types.len(), config.block_out_channels.len());
            if blocks != widths {
                return Err(Error::config(
                    key,
                    format!("has {blocks} blocks for {widths} widths"),
                ));
            }
        }
        config.check()?;
        Ok(config)
    }

    /// Checks what the networks divide by.
    ///
    /// # Errors
    /// When widths do not divide, or a value is out of range; it names the key.
    pub fn check(&self) -> Result<(), Error> {
        if self.block_out_channels.is_empty() {
            return Err(Error::config("block_out_channels", "is empty"));
        }
        positive("in_channels", self.in_channels)?;
        positive("out_channels", self.out_channels)?;
        positive("latent_channels", self.latent_channels)?;
        positive("layers_per_block", self.layers_per_block)?;
        if !(self.scaling_factor.is_finite() && self.scaling_factor > 0.0) {
            return Err(Error::config("scaling_factor", "must be positive"));
        }
        self.block_out_channels
            .iter()
            .try_for_each(|&width| divides("norm_num_groups", self.norm_num_groups, width))
    }

    /// Pixels of the picture per pixel of the latents, along a side.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len().max(1) - 1)
    }
}
