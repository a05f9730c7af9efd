//! The U-Net's configuration.

use serde::Deserialize;
use serde_json::Value;

use super::read::{divides, only, parse, positive, typed};
use crate::Error;

/// One resolution of the U-Net, used on the way down and, mirrored, on the way up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Channels of the feature map (`block_out_channels`).
    pub channels: usize,
    /// Residual blocks on the way down; one more on the way up (`layers_per_block`).
    pub layers: usize,
    /// Transformer blocks in each spatial transformer (`transformer_layers_per_block`).
    pub depth: usize,
    /// Attention heads. diffusers calls this `attention_head_dim`, by an old mistake that it keeps.
    pub heads: usize,
    /// Width of the text states (`cross_attention_dim`).
    pub context: usize,
    /// Whether `attn1` attends to the text too (`only_cross_attention`).
    pub only_cross: bool,
    /// Whether the down block has spatial transformers.
    pub attends_down: bool,
    /// Whether the up block has spatial transformers.
    pub attends_up: bool,
}

/// A `UNet2DConditionModel`.
#[derive(Clone, Debug, PartialEq)]
pub struct UnetConfig {
    /// Channels in: noisy latents and image latents, so 8 for InstructPix2Pix.
    pub in_channels: usize,
    /// Channels out: those of the latents.
    pub out_channels: usize,
    /// Resolutions, the finest first. The last one is the mid block's too.
    pub levels: Vec<Level>,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Epsilon of the residual blocks' normalisations and of the last one.
    pub norm_eps: f64,
    /// Whether a spatial transformer's projections are linear layers (SD2) or 1x1 convolutions (SD1).
    pub use_linear_projection: bool,
    /// Padding of the downsampling convolutions; 0 pads right and bottom only.
    pub downsample_padding: usize,
    /// Whether cosines come before sines in the time embedding.
    pub flip_sin_to_cos: bool,
    /// Shift in the time embedding's frequencies.
    pub freq_shift: f64,
    /// Width of the time embedding that every residual block reads.
    pub time_embedding_dim: usize,
}

/// A value for all levels, or one per level.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum PerLevel<T> {
    All(T),
    Each(Vec<T>),
}

impl<T: Clone> PerLevel<T> {
    fn spread(self, key: &str, levels: usize) -> Result<Vec<T>, Error> {
        match self {
            Self::All(value) => Ok(vec![value; levels]),
            Self::Each(values) if values.len() == levels => Ok(values),
            Self::Each(values) => Err(Error::config(
                key,
                format!("has {} values for {levels} levels", values.len()),
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct RawUnet {
    in_channels: usize,
    out_channels: usize,
    down_block_types: Vec<String>,
    mid_block_type: Option<String>,
    up_block_types: Vec<String>,
    only_cross_attention: PerLevel<bool>,
    block_out_channels: Vec<usize>,
    layers_per_block: PerLevel<usize>,
    transformer_layers_per_block: PerLevel<usize>,
    attention_head_dim: PerLevel<usize>,
    cross_attention_dim: PerLevel<usize>,
    norm_num_groups: usize,
    norm_eps: f64,
    use_linear_projection: bool,
    downsample_padding: usize,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    time_embedding_dim: Option<usize>,
}

impl Default for RawUnet {
    /// diffusers' defaults.
    fn default() -> Self {
        let cross = |kind: &str| vec![kind.to_owned(); 3];
        let mut down = cross("CrossAttnDownBlock2D");
        down.push("DownBlock2D".into());
        let mut up = vec!["UpBlock2D".to_owned()];
        up.extend(cross("CrossAttnUpBlock2D"));
        Self {
            in_channels: 4,
            out_channels: 4,
            down_block_types: down,
            mid_block_type: Some("UNetMidBlock2DCrossAttn".into()),
            up_block_types: up,
            only_cross_attention: PerLevel::All(false),
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerLevel::All(2),
            transformer_layers_per_block: PerLevel::All(1),
            attention_head_dim: PerLevel::All(8),
            cross_attention_dim: PerLevel::All(1280),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            use_linear_projection: false,
            downsample_padding: 1,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            time_embedding_dim: None,
        }
    }
}

impl UnetConfig {
    /// Reads `unet/config.json`.
    ///
    /// # Errors
    /// When the text is no such configuration, or asks for a network that is not implemented; it names the key.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let value = parse(json)?;
        for key in [
            "encoder_hid_dim",
            "encoder_hid_dim_type",
            "class_embed_type",
            "addition_embed_type",
            "num_class_embeds",
            "num_attention_heads",
            "time_embedding_act_fn",
            "timestep_post_act",
            "time_cond_proj_dim",
            "cross_attention_norm",
            "reverse_transformer_layers_per_block",
        ] {
            only(&value, key, &[Value::Null])?;
        }
        for key in [
            "center_input_sample",
            "dual_cross_attention",
            "resnet_skip_time_act",
        ] {
            only(&value, key, &[false.into()])?;
        }
        only(&value, "act_fn", &["silu".into(), "swish".into()])?;
        only(&value, "resnet_time_scale_shift", &["default".into()])?;
        only(&value, "time_embedding_type", &["positional".into()])?;
        only(&value, "attention_type", &["default".into()])?;
        only(&value, "conv_in_kernel", &[3.into()])?;
        only(&value, "conv_out_kernel", &[3.into()])?;
        only(
            &value,
            "mid_block_type",
            &["UNetMidBlock2DCrossAttn".into()],
        )?;
        for key in ["mid_block_scale_factor", "resnet_out_scale_factor"] {
            only(&value, key, &[1.into(), 1.0.into()])?;
        }
        let raw: RawUnet = typed(value)?;
        let widths = raw.block_out_channels;
        let count = widths.len();
        if count == 0 || raw.down_block_types.len() != count || raw.up_block_types.len() != count {
            return Err(Error::config(
                "block_out_channels",
                format!(
                    "has {count} levels, down_block_types {} and up_block_types {}",
                    raw.down_block_types.len(),
                    raw.up_block_types.len()
                ),
            ));
        }
        let only_cross = raw
            .only_cross_attention
            .spread("only_cross_attention", count)?;
        let layers = raw.layers_per_block.spread("layers_per_block", count)?;
        let depth = raw
            .transformer_layers_per_block
            .spread("transformer_layers_per_block", count)?;
        let heads = raw.attention_head_dim.spread("attention_head_dim", count)?;
        let context = raw
            .cross_attention_dim
            .spread("cross_attention_dim", count)?;
        let levels = (0..count)
            .map(|i| {
                Ok(Level {
                    channels: widths[i],
                    layers: layers[i],
                    depth: depth[i],
                    heads: heads[i],
                    context: context[i],
                    only_cross: only_cross[i],
                    attends_down: attends("down_block_types", "Down", &raw.down_block_types[i])?,
                    attends_up: attends(
                        "up_block_types",
                        "Up",
                        &raw.up_block_types[count - 1 - i],
                    )?,
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let config = Self {
            in_channels: raw.in_channels,
            out_channels: raw.out_channels,
            time_embedding_dim: raw.time_embedding_dim.unwrap_or(4 * widths[0]),
            levels,
            norm_num_groups: raw.norm_num_groups,
            norm_eps: raw.norm_eps,
            use_linear_projection: raw.use_linear_projection,
            downsample_padding: raw.downsample_padding,
            flip_sin_to_cos: raw.flip_sin_to_cos,
            freq_shift: raw.freq_shift,
        };
        config.check()?;
        Ok(config)
    }

    /// How many pixels of the sample one pixel of the coarsest feature map stands for, along a side.
    pub fn halving(&self) -> usize {
        1 << self.levels.len().saturating_sub(1)
    }

    /// Checks what the networks divide by.
    ///
    /// # Errors
    /// When widths do not divide into groups or heads, or a count is zero; it names the key.
    pub fn check(&self) -> Result<(), Error> {
        positive("in_channels", self.in_channels)?;
        positive("out_channels", self.out_channels)?;
        positive("time_embedding_dim", self.time_embedding_dim)?;
        if self.levels.is_empty() {
            return Err(Error::config("block_out_channels", "is empty"));
        }
        for level in &self.levels {
            positive("layers_per_block", level.layers)?;
            positive("transformer_layers_per_block", level.depth)?;
            positive("cross_attention_dim", level.context)?;
            divides("norm_num_groups", self.norm_num_groups, level.channels)?;
            divides("attention_head_dim", level.heads, level.channels)?;
        }
        Ok(())
    }
}

fn attends(key: &str, way: &str, kind: &str) -> Result<bool, Error> {
    if kind == format!("CrossAttn{way}Block2D") {
        Ok(true)
    } else if kind == format!("{way}Block2D") {
        Ok(false)
    } else {
        Err(Error::config(key, format!("{kind} is not supported")))
    }
}
