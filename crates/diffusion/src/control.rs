//! The one window into the U-Net's attention: biases go in, probabilities and features come out.
//!
//! A [`Control`] sees every attention layer of a U-Net call as a [`Site`]. It says up front what it wants there;
//! what nobody wants is never materialised, so plain denoising pays nothing.

use candle_core::{Result, Tensor};

/// Which part of the U-Net a layer sits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// A down block.
    Down,
    /// The mid block.
    Mid,
    /// An up block.
    Up,
}

/// Whether keys and values come from the picture or from the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Keys from the picture itself (`attn1`).
    SelfAttention,
    /// Keys from the 77 text states (`attn2`, and `attn1` of an `only_cross_attention` block).
    CrossAttention,
}

/// One attention layer in one U-Net call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// The part of the U-Net that the layer is in.
    pub part: Part,
    /// Index of the block in its part (`down_blocks.{block}`); 0 for mid.
    pub block: usize,
    /// Index of the spatial transformer in its block (`attentions.{layer}`).
    pub layer: usize,
    /// Index in the transformer's depth (`transformer_blocks.{depth}`).
    pub depth: usize,
    /// 0 for `attn1`, 1 for `attn2`.
    pub order: usize,
    /// Where the layer's keys come from.
    pub kind: Kind,
    /// Height of the feature map, in its own pixels.
    pub height: usize,
    /// Width of the feature map, in its own pixels.
    pub width: usize,
}

/// A feature map that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tap {
    /// Output of an attention layer after `to_out`, before the residual: `[rows, height * width, channels]`.
    Attention(Site),
    /// Output of a whole spatial transformer (`attentions.{layer}`) after its residual: `[rows, channels, height, width]`.
    /// `depth`, `order` and `kind` of the site are 0, 0 and `CrossAttention` here.
    Transformer(Site),
}

/// What a caller may do in attention layers during one U-Net call.
///
/// `rows` are the rows of the batch that are this control's: all of them, unless a call has several [`Member`]s.
pub trait Control {
    /// Added to the f32 scores (after scaling by 1/sqrt(d)) of a cross-attention layer before the softmax.
    /// Broadcast against `[rows, heads, height * width, tokens]`, so usually `[rows, 1, height * width, tokens]`.
    fn bias(&mut self, _site: &Site) -> Result<Option<Tensor>> {
        Ok(None)
    }
    /// Whether [`Control::probabilities`] is to be called for this cross-attention layer.
    fn wants_probabilities(&self, _site: &Site) -> bool {
        false
    }
    /// Softmax probabilities, f32 `[rows, heads, height * width, tokens]`, after any bias.
    fn probabilities(&mut self, _site: &Site, _probabilities: &Tensor) -> Result<()> {
        Ok(())
    }
    /// Whether [`Control::features`] is to be called for this tap.
    fn wants_features(&self, _tap: &Tap) -> bool {
        false
    }
    /// Features in the network's dtype, shaped as the [`Tap`] says.
    fn features(&mut self, _tap: &Tap, _features: &Tensor) -> Result<()> {
        Ok(())
    }
}

/// One of several that share a call: the next so many rows of the batch, and what is done and read in them alone. What one member
/// wants changes nothing for another's rows.
pub struct Member<'a> {
    /// Rows of the batch that are its own.
    pub rows: usize,
    /// What it does in attention there.
    pub control: &'a mut dyn Control,
}

/// A control that wants nothing and changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untouched;

impl Control for Untouched {}
