//! Spatial transformers: diffusers' `Transformer2DModel` and `BasicTransformerBlock`.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::attention::{Attention, Projections};
use super::call::{Call, rows};
use crate::config::{Level, UnetConfig};
use crate::control::{Kind, Part, Site, Tap};
use crate::kernels::{Backend, Builder, GroupNorm, LayerNorm, Linear};
use crate::profile::{self, Kind as Layer};

/// Epsilon of the normalisation before the projection, fixed in diffusers.
const NORM_EPS: f64 = 1e-6;

/// Epsilon of the layer normalisations, fixed in diffusers.
const LAYER_NORM_EPS: f64 = 1e-5;

/// Attention twice, then a gated feed-forward layer, each around a residual.
#[derive(Clone, Debug)]
struct Block {
    attentions: [(LayerNorm, Attention); 2],
    norm3: LayerNorm,
    gate: Arc<dyn Linear>,
    out: Arc<dyn Linear>,
    backend: &'static dyn Backend,
}

impl Block {
    fn new(
        level: &Level,
        only_cross: bool,
        projections: &mut Projections,
        build: &Builder,
    ) -> Result<Self> {
        let Level {
            channels,
            heads,
            context,
            ..
        } = *level;
        let norm = |name| build.pp(name).layer_norm(channels, LAYER_NORM_EPS);
        let feed = build.pp("ff").pp("net");
        let inner = 4 * channels;
        let attn1 = if only_cross {
            Attention::to_text(channels, heads, context, projections, &build.pp("attn1"))?
        } else {
            Attention::to_picture(channels, heads, &build.pp("attn1"))?
        };
        let attn2 = Attention::to_text(channels, heads, context, projections, &build.pp("attn2"))?;
        Ok(Self {
            attentions: [(norm("norm1")?, attn1), (norm("norm2")?, attn2)],
            norm3: norm("norm3")?,
            gate: feed.pp(0).pp("proj").linear(channels, 2 * inner)?,
            out: feed.pp(2).linear(inner, channels)?,
            backend: build.backend(),
        })
    }

    fn forward(&self, mut x: Tensor, site: Site, call: &mut Call<'_>) -> Result<Tensor> {
        for (order, (norm, attention)) in self.attentions.iter().enumerate() {
            let site = Site {
                order,
                kind: attention.kind(),
                ..site
            };
            let normed = self.normed(norm, &x)?;
            x = attention.forward(&normed, &x, &site, call)?;
        }
        let normed = self.normed(&self.norm3, &x)?;
        let gated = profile::layer(Layer::Gated, &normed, || self.gate.forward_gated(&normed))?;
        profile::layer(Layer::Linear, &gated, || self.out.forward_add(&gated, &x))
    }

    fn normed(&self, norm: &LayerNorm, x: &Tensor) -> Result<Tensor> {
        profile::layer(Layer::LayerNorm, x, || self.backend.layer_norm(norm, x))
    }
}

/// A stack of transformer blocks over the pixels of a feature map, around a residual.
#[derive(Clone, Debug)]
pub(super) struct Transformer {
    norm: GroupNorm,
    proj_in: Arc<dyn Linear>,
    blocks: Vec<Block>,
    proj_out: Arc<dyn Linear>,
    place: (Part, usize, usize),
    backend: &'static dyn Backend,
}

impl Transformer {
    /// `place` is part, block and layer, as in [`Site`].
    pub(super) fn new(
        place: (Part, usize, usize),
        level: &Level,
        config: &UnetConfig,
        projections: &mut Projections,
        build: &Builder,
    ) -> Result<Self> {
        let width = level.channels;
        let project = |name| {
            let build = build.pp(name);
            if config.use_linear_projection {
                build.linear(width, width)
            } else {
                build.pointwise(width, width)
            }
        };
        let blocks = build.pp("transformer_blocks");
        // diffusers hands `only_cross_attention` to down and up blocks alone.
        let only_cross = level.only_cross && place.0 != Part::Mid;
        Ok(Self {
            norm: build
                .pp("norm")
                .group_norm(config.norm_num_groups, width, NORM_EPS)?,
            proj_in: project("proj_in")?,
            blocks: (0..level.depth)
                .map(|i| Block::new(level, only_cross, projections, &blocks.pp(i)))
                .collect::<Result<_>>()?,
            proj_out: project("proj_out")?,
            place,
            backend: build.backend(),
        })
    }

    /// `[rows, channels, height, width]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor, call: &mut Call<'_>) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let (part, block, layer) = self.place;
        let site = Site {
            part,
            block,
            layer,
            depth: 0,
            order: 0,
            kind: Kind::CrossAttention,
            height,
            width,
        };
        let normed = profile::layer(Layer::GroupNorm, x, || {
            self.backend.group_norm(&self.norm, x)
        })?;
        let tokens = self.backend.tokens(&normed)?;
        let mut hidden = profile::layer(Layer::Linear, &tokens, || self.proj_in.forward(&tokens))?;
        for (depth, block) in self.blocks.iter().enumerate() {
            hidden = block.forward(hidden, Site { depth, ..site }, call)?;
        }
        let pixels = self.backend.tokens(x)?;
        let hidden = profile::layer(Layer::Linear, &hidden, || {
            self.proj_out.forward_add(&hidden, &pixels)
        })?;
        let out = self.backend.map(&hidden, height, width)?;
        let tap = Tap::Transformer(site);
        for part in call.parts_by_features(&tap) {
            if let Some(member) = part.seen_by {
                let features = rows(&out, &part.rows)?.contiguous()?;
                call.members[member].control.features(&tap, &features)?;
            }
        }
        Ok(out)
    }
}
