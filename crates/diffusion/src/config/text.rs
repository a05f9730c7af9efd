//! The text encoder's configuration.

use serde::Deserialize;

use super::read::{divides, parse, positive, typed};
use crate::Error;

/// A `CLIPTextModel`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    /// Rows of the token embedding: ids are below it.
    pub vocab_size: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Tokens of the longest sequence.
    pub max_position_embeddings: usize,
    /// `quick_gelu` (OpenAI's CLIP) or `gelu` (OpenCLIP, by the error function).
    pub hidden_act: String,
    /// Epsilon of the layer normalisations.
    pub layer_norm_eps: f64,
    /// Id of the start token.
    pub bos_token_id: Option<u32>,
    /// Id of the end token.
    pub eos_token_id: Option<u32>,
    /// Id of the padding token.
    pub pad_token_id: Option<u32>,
}

impl Default for TextConfig {
    /// transformers' defaults, which it leaves out of the file.
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
            bos_token_id: None,
            eos_token_id: None,
            pad_token_id: None,
        }
    }
}

impl TextConfig {
    /// Reads `text_encoder/config.json`.
    ///
    /// # Errors
    /// When the text is no such configuration, or asks for a network that is not implemented; it names the key.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let config: Self = typed(parse(json)?)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the networks divide by and the activation.
    ///
    /// # Errors
    /// When widths do not divide, or a value is out of range; it names the key.
    pub fn check(&self) -> Result<(), Error> {
        positive("vocab_size", self.vocab_size)?;
        positive("num_hidden_layers", self.num_hidden_layers)?;
        positive("max_position_embeddings", self.max_position_embeddings)?;
        divides(
            "num_attention_heads",
            self.num_attention_heads,
            self.hidden_size,
        )?;
        match self.hidden_act.as_str() {
            "quick_gelu" | "gelu" => Ok(()),
            other => Err(Error::config(
                "hidden_act",
                format!("{other} is not supported, only quick_gelu and gelu"),
            )),
        }
    }
}
