//! The text encoder: transformers' `CLIPTextModel`.
//!
//! OpenAI's CLIP (quick GELU) is candle-transformers' own. OpenCLIP's text model (SD2) differs in its activation alone,
//! which that code does not offer, so its layers are here.

use candle_core::{D, DType, Module, Result as Computed, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, VarBuilder, embedding, layer_norm, linear};
use candle_transformers::models::clip::text_model::{
    Activation, ClipTextConfig, ClipTextTransformer,
};

use crate::Error;
use crate::config::TextConfig;

/// Turns token ids into text states.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    network: Network,
    config: TextConfig,
}

#[derive(Clone, Debug)]
enum Network {
    QuickGelu(ClipTextTransformer),
    Gelu(Transformer),
}

impl TextEncoder {
    /// Reads the weights, named as transformers names them, with or without the `text_model.` in front.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or a tensor is missing or misshapen.
    pub fn new(vb: VarBuilder, config: &TextConfig) -> Result<Self, Error> {
        config.check()?;
        let bare = vb.contains_tensor("embeddings.token_embedding.weight");
        let vb = if bare { vb } else { vb.pp("text_model") };
        // candle-transformers has this epsilon built in.
        let network = if config.hidden_act == "quick_gelu" && config.layer_norm_eps == 1e-5 {
            Network::QuickGelu(ClipTextTransformer::new(
                vb,
                &ClipTextConfig {
                    vocab_size: config.vocab_size,
                    embed_dim: config.hidden_size,
                    activation: Activation::QuickGelu,
                    intermediate_size: config.intermediate_size,
                    max_position_embeddings: config.max_position_embeddings,
                    pad_with: None,
                    num_hidden_layers: config.num_hidden_layers,
                    num_attention_heads: config.num_attention_heads,
                    projection_dim: config.hidden_size,
                },
            )?)
        } else {
            Network::Gelu(Transformer::new(vb, config)?)
        };
        Ok(Self {
            network,
            config: config.clone(),
        })
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// Ids `[rows, tokens]` (u32) to states `[rows, tokens, width]`, after the final layer normalisation.
    ///
    /// # Errors
    /// When there are more tokens than positions, or ids outside the vocabulary.
    pub fn encode(&self, ids: &Tensor) -> Result<Tensor, Error> {
        Ok(match &self.network {
            Network::QuickGelu(network) => network.forward_with_mask(ids, usize::MAX)?,
            Network::Gelu(network) => network.forward(ids)?,
        })
    }
}

/// `CLIPTextTransformer` with either activation.
#[derive(Clone, Debug)]
struct Transformer {
    tokens: Embedding,
    positions: Embedding,
    layers: Vec<Layer>,
    norm: LayerNorm,
}

#[derive(Clone, Debug)]
struct Layer {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    quick: bool,
}

impl Transformer {
    fn new(vb: VarBuilder, config: &TextConfig) -> Computed<Self> {
        let width = config.hidden_size;
        let positions = config.max_position_embeddings;
        let embeddings = vb.pp("embeddings");
        let layers = vb.pp("encoder").pp("layers");
        Ok(Self {
            tokens: embedding(config.vocab_size, width, embeddings.pp("token_embedding"))?,
            positions: embedding(positions, width, embeddings.pp("position_embedding"))?,
            layers: (0..config.num_hidden_layers)
                .map(|i| Layer::new(layers.pp(i), config))
                .collect::<Computed<_>>()?,
            norm: layer_norm(width, config.layer_norm_eps, vb.pp("final_layer_norm"))?,
        })
    }

    fn forward(&self, ids: &Tensor) -> Computed<Tensor> {
        let (_, count) = ids.dims2()?;
        let positions = Tensor::arange(0u32, count as u32, ids.device())?;
        let mut x = self
            .tokens
            .forward(ids)?
            .broadcast_add(&self.positions.forward(&positions)?)?;
        let later = |i, j| if j > i { f32::MIN } else { 0.0 };
        let mask: Vec<f32> = (0..count)
            .flat_map(|i| (0..count).map(move |j| later(i, j)))
            .collect();
        let mask = Tensor::from_vec(mask, (count, count), ids.device())?;
        for layer in &self.layers {
            x = layer.forward(&x, &mask)?;
        }
        self.norm.forward(&x)
    }
}

impl Layer {
    fn new(vb: VarBuilder, config: &TextConfig) -> Computed<Self> {
        let (width, inner, eps) = (
            config.hidden_size,
            config.intermediate_size,
            config.layer_norm_eps,
        );
        let attention = |name| linear(width, width, vb.pp("self_attn").pp(name));
        Ok(Self {
            norm1: layer_norm(width, eps, vb.pp("layer_norm1"))?,
            query: attention("q_proj")?,
            key: attention("k_proj")?,
            value: attention("v_proj")?,
            out: attention("out_proj")?,
            norm2: layer_norm(width, eps, vb.pp("layer_norm2"))?,
            fc1: linear(width, inner, vb.pp("mlp").pp("fc1"))?,
            fc2: linear(inner, width, vb.pp("mlp").pp("fc2"))?,
            heads: config.num_attention_heads,
            quick: config.hidden_act == "quick_gelu",
        })
    }

    fn forward(&self, x: &Tensor, mask: &Tensor) -> Computed<Tensor> {
        let x = (x + self.attend(&self.norm1.forward(x)?, mask)?)?;
        let hidden = self.fc1.forward(&self.norm2.forward(&x)?)?;
        let hidden = if self.quick {
            (&hidden * candle_nn::ops::sigmoid(&(&hidden * 1.702)?)?)?
        } else {
            hidden.gelu_erf()?
        };
        x + self.fc2.forward(&hidden)?
    }

    /// Causal attention, in f32.
    fn attend(&self, x: &Tensor, mask: &Tensor) -> Computed<Tensor> {
        let (rows, count, width) = x.dims3()?;
        let head = width / self.heads;
        let split = |projection: &Linear| {
            projection
                .forward(x)?
                .reshape((rows, count, self.heads, head))?
                .transpose(1, 2)?
                .contiguous()?
                .to_dtype(DType::F32)
        };
        let query = (split(&self.query)? * (1.0 / (head as f64).sqrt()))?;
        let scores = query.matmul(&split(&self.key)?.t()?)?.broadcast_add(mask)?;
        let values = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&split(&self.value)?)?;
        self.out.forward(
            &values
                .transpose(1, 2)?
                .flatten_from(D::Minus2)?
                .to_dtype(x.dtype())?,
        )
    }
}
