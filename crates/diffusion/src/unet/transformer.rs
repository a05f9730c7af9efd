//! Spatial transformers: diffusers' `Transformer2DModel` and `BasicTransformerBlock`.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::TextContext;
use super::attention::{Attention, Projections};
use crate::config::{Level, UnetConfig};
use crate::control::{Control, Kind, Part, Site, Tap};
use crate::kernels::linear::Linear;
use crate::kernels::norm::{GroupNorm, LayerNorm};
use crate::kernels::{map, tokens};

/// Epsilon of the normalisation before the projection, fixed in diffusers.
const NORM_EPS: f64 = 1e-6;

/// Epsilon of the layer normalisations, fixed in diffusers.
const LAYER_NORM_EPS: f64 = 1e-5;

/// Attention twice, then a gated feed-forward layer, each around a residual.
#[derive(Clone, Debug)]
struct Block {
    attentions: [(LayerNorm, Attention); 2],
    norm3: LayerNorm,
    gate: Linear,
    out: Linear,
}

impl Block {
    fn new(
        level: &Level,
        only_cross: bool,
        projections: &mut Projections,
        vb: VarBuilder,
    ) -> Result<Self> {
        let Level {
            channels,
            heads,
            context,
            ..
        } = *level;
        let norm = |name| LayerNorm::new(channels, LAYER_NORM_EPS, vb.pp(name));
        let inner = 4 * channels;
        let attn1 = if only_cross {
            Attention::to_text(channels, heads, context, projections, vb.pp("attn1"))?
        } else {
            Attention::to_picture(channels, heads, vb.pp("attn1"))?
        };
        let attn2 = Attention::to_text(channels, heads, context, projections, vb.pp("attn2"))?;
        Ok(Self {
            attentions: [(norm("norm1")?, attn1), (norm("norm2")?, attn2)],
            norm3: norm("norm3")?,
            gate: Linear::new(channels, 2 * inner, vb.pp("ff").pp("net").pp(0).pp("proj"))?,
            out: Linear::new(inner, channels, vb.pp("ff").pp("net").pp(2))?,
        })
    }

    fn forward(
        &self,
        x: Tensor,
        text: &TextContext,
        site: Site,
        control: &mut dyn Control,
    ) -> Result<Tensor> {
        let mut x = x;
        for (order, (norm, attention)) in self.attentions.iter().enumerate() {
            let site = Site {
                order,
                kind: attention.kind(),
                ..site
            };
            x = attention.forward(&norm.forward(&x)?, &x, text, &site, control)?;
        }
        self.out
            .forward_add(&self.gate.forward_gated(&self.norm3.forward(&x)?)?, &x)
    }
}

/// A stack of transformer blocks over the pixels of a feature map, around a residual.
#[derive(Clone, Debug)]
pub(super) struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    blocks: Vec<Block>,
    proj_out: Linear,
    place: (Part, usize, usize),
}

impl Transformer {
    /// `place` is part, block and layer, as in [`Site`].
    pub(super) fn new(
        place: (Part, usize, usize),
        level: &Level,
        config: &UnetConfig,
        projections: &mut Projections,
        vb: VarBuilder,
    ) -> Result<Self> {
        let width = level.channels;
        let project = |name| {
            let vb = vb.pp(name);
            if config.use_linear_projection {
                Linear::new(width, width, vb)
            } else {
                Linear::pointwise(width, width, vb)
            }
        };
        // diffusers hands `only_cross_attention` to down and up blocks alone.
        let only_cross = level.only_cross && place.0 != Part::Mid;
        Ok(Self {
            norm: GroupNorm::new(config.norm_num_groups, width, NORM_EPS, vb.pp("norm"))?,
            proj_in: project("proj_in")?,
            blocks: (0..level.depth)
                .map(|i| {
                    Block::new(
                        level,
                        only_cross,
                        projections,
                        vb.pp("transformer_blocks").pp(i),
                    )
                })
                .collect::<Result<_>>()?,
            proj_out: project("proj_out")?,
            place,
        })
    }

    /// `[rows, channels, height, width]` to the same shape.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        text: &TextContext,
        control: &mut dyn Control,
    ) -> Result<Tensor> {
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
        let mut hidden = self.proj_in.forward(&tokens(&self.norm.forward(x)?)?)?;
        for (depth, block) in self.blocks.iter().enumerate() {
            hidden = block.forward(hidden, text, Site { depth, ..site }, control)?;
        }
        let out = map(
            &self.proj_out.forward_add(&hidden, &tokens(x)?)?,
            height,
            width,
        )?;
        let tap = Tap::Transformer(site);
        if control.wants_features(&tap) {
            control.features(&tap, &out.contiguous()?)?;
        }
        Ok(out)
    }
}
