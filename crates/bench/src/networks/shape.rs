//! Sizes of networks that can be measured without their weights.

use limekiln_diffusion::config::{TextConfig, UnetConfig, VaeConfig};

use crate::error::Result;

/// A set of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Stable Diffusion 1.5's, with InstructPix2Pix's 8 input channels.
    Sd15,
    /// The built-in model's.
    Rooms,
}

const SD15_UNET: &str = r#"{"_class_name": "UNet2DConditionModel", "in_channels": 8, "out_channels": 4,
 "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "cross_attention_dim": 768, "attention_head_dim": 8,
 "norm_num_groups": 32, "sample_size": 64,
 "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
 "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]}"#;

const SD15_VAE: &str = r#"{"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
 "latent_channels": 4, "norm_num_groups": 32, "sample_size": 512, "scaling_factor": 0.18215,
 "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
 "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]}"#;

const SD15_TEXT: &str = r#"{"architectures": ["CLIPTextModel"], "vocab_size": 49408, "hidden_size": 768,
 "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 77,
 "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05}"#;

impl Shape {
    /// Side of the pictures that such a model was trained on, in pixels.
    pub fn side(self) -> usize {
        match self {
            Self::Sd15 => 512,
            Self::Rooms => limekiln_rooms::SIDE as usize,
        }
    }

    /// The path in a checkpoint's folder, and the text, of each network's configuration: U-Net, VAE, text encoder.
    pub(super) fn files(self) -> [(&'static str, &'static str); 3] {
        [
            ("unet/config.json", SD15_UNET),
            ("vae/config.json", SD15_VAE),
            ("text_encoder/config.json", SD15_TEXT),
        ]
        .map(|(path, sd15)| match self {
            Self::Sd15 => (path, sd15),
            Self::Rooms => (path, built_in(path)),
        })
    }

    pub(super) fn unet(self) -> Result<UnetConfig> {
        Ok(UnetConfig::from_json(self.files()[0].1)?)
    }

    pub(super) fn vae(self) -> Result<VaeConfig> {
        Ok(VaeConfig::from_json(self.files()[1].1)?)
    }

    pub(super) fn text(self) -> Result<TextConfig> {
        Ok(TextConfig::from_json(self.files()[2].1)?)
    }
}

/// A text file of the built-in checkpoint; empty where there is none.
pub(super) fn built_in(path: &str) -> &'static str {
    let files = limekiln_rooms::checkpoint_files();
    let found = files.iter().find(|(name, _)| *name == path);
    found.map_or("", |(_, bytes)| {
        std::str::from_utf8(bytes).unwrap_or_default()
    })
}
