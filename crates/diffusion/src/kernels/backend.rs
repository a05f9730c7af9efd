//! What a backend must be able to do, and the parameters of its layers. Knows no implementation.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{DType, Result, Tensor, bail};

/// One implementation of every layer that the U-Net and the VAE are made of.
///
/// A network asks for its backend once, when it is built, and keeps it: weights are laid out for the backend that reads
/// them. A row of the batch must come out the same whatever rows stand beside it.
pub(crate) trait Backend: Debug + Send + Sync {
    /// A linear layer of `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    fn linear(&self, weight: &Tensor, bias: Option<Tensor>) -> Result<Arc<dyn Linear>>;

    /// A convolution of `weight` `[outputs, inputs, kernel, kernel]` and `bias` `[outputs]`.
    fn conv(
        &self,
        weight: Tensor,
        bias: Tensor,
        stride: usize,
        padding: Padding,
    ) -> Result<Arc<dyn Conv>>;

    /// Group normalisation of `[rows, channels, height, width]`, statistics in f32 or better.
    fn group_norm(&self, norm: &GroupNorm, x: &Tensor) -> Result<Tensor>;

    /// Layer normalisation of the vectors of `[rows, lines, width]`, statistics in f32 or better.
    fn layer_norm(&self, norm: &LayerNorm, x: &Tensor) -> Result<Tensor>;

    /// As [`Backend::attend`], which has checked the shapes and has made the bias f32 `[rows, heads, queries, keys]`.
    fn attention(&self, q: &Tensor, k: &Tensor, v: &Tensor, how: Attention<'_>)
    -> Result<Attended>;

    /// `[rows, height * width, channels]` to `[rows, channels, height, width]`: undoes [`Backend::tokens`].
    fn map(&self, tokens: &Tensor, height: usize, width: usize) -> Result<Tensor>;

    /// Joins two feature maps `[rows, channels, height, width]` along their channels.
    fn join(&self, a: &Tensor, b: &Tensor) -> Result<Tensor>;

    /// `[rows, channels, height, width]` to `[rows, height * width, channels]`. Free where channels lie last.
    fn tokens(&self, map: &Tensor) -> Result<Tensor> {
        map.permute((0, 2, 3, 1))?.flatten(1, 2)
    }

    /// `softmax(q k^T / sqrt(channels / heads) + bias) v`, softmax in f32.
    ///
    /// `q` is `[rows, queries, channels]`, `k` and `v` are `[rows, keys, channels]`.
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, how: Attention<'_>) -> Result<Attended> {
        let (rows, queries, channels) = q.dims3()?;
        let keys = k.dim(1)?;
        expect("the keys of an attention layer", k, &[rows, keys, channels])?;
        expect(
            "the values of an attention layer",
            v,
            &[rows, keys, channels],
        )?;
        let shape = (rows, how.heads, queries, keys);
        let bias = how
            .bias
            .map(|bias| bias.to_dtype(DType::F32)?.broadcast_as(shape))
            .transpose()?;
        let how = Attention {
            bias: bias.as_ref(),
            ..how
        };
        self.attention(q, k, v, how)
    }
}

/// `x W^T + b`, over `[rows, lines, inputs]`.
pub(crate) trait Linear: Debug + Send + Sync {
    /// `[rows, lines, outputs]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor>;

    /// The same plus `residual` `[rows, lines, outputs]`.
    fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor>;

    /// The first half of the outputs times GELU of the second, `[rows, lines, outputs / 2]` (diffusers' GEGLU).
    fn forward_gated(&self, x: &Tensor) -> Result<Tensor>;
}

/// A square convolution over `[rows, channels, height, width]`.
pub(crate) trait Conv: Debug + Send + Sync {
    /// Convolves what `before` makes of the input, and adds `after`.
    fn forward_with(&self, x: &Tensor, before: Before<'_>, after: After<'_>) -> Result<Tensor>;

    /// Convolves.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_with(x, Before::Nothing, After::default())
    }
}

/// Zeros around a convolution's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// As many on every side.
    All(usize),
    /// One line below and one column to the right: diffusers' downsampling with padding 0.
    BottomRight,
}

/// What happens to a convolution's input first.
#[derive(Clone, Copy)]
pub(crate) enum Before<'a> {
    /// The input is convolved as it is.
    Nothing,
    /// Group normalisation, then SiLU.
    NormSilu(&'a GroupNorm),
    /// Nearest-neighbour resizing to (height, width).
    Resize(usize, usize),
}

/// What is added to a convolution's output.
#[derive(Clone, Copy, Default)]
pub(crate) struct After<'a> {
    /// `[rows, channels]`, the same for every pixel.
    pub(crate) shift: Option<&'a Tensor>,
    /// Shaped as the output.
    pub(crate) residual: Option<&'a Tensor>,
}

/// The parameters of a group normalisation.
#[derive(Clone, Debug)]
pub(crate) struct GroupNorm {
    /// `[channels]`
    pub(crate) weight: Tensor,
    /// `[channels]`
    pub(crate) bias: Tensor,
    /// Groups that the channels are split into.
    pub(crate) groups: usize,
    /// Added to the variance.
    pub(crate) eps: f64,
}

/// The parameters of a layer normalisation.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    /// `[width]`
    pub(crate) weight: Tensor,
    /// `[width]`
    pub(crate) bias: Tensor,
    /// Added to the variance.
    pub(crate) eps: f64,
}

/// How a layer attends, and whether it shows its probabilities.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    /// Heads that the channels are split into.
    pub(crate) heads: usize,
    /// Added to the f32 scores; broadcasts against `[rows, heads, queries, keys]`.
    pub(crate) bias: Option<&'a Tensor>,
    /// Whether the probabilities are wanted.
    pub(crate) probabilities: bool,
}

impl Attention<'_> {
    /// Without a bias, and without showing probabilities.
    pub(crate) fn plain(heads: usize) -> Self {
        Self {
            heads,
            bias: None,
            probabilities: false,
        }
    }
}

/// What attention yields.
pub(crate) struct Attended {
    /// `[rows, queries, channels]`, in the queries' dtype.
    pub(crate) values: Tensor,
    /// f32 `[rows, heads, queries, keys]`, if asked for.
    pub(crate) probabilities: Option<Tensor>,
}

/// An error unless the shape is the expected one; `what` names the tensor in it.
pub(super) fn expect(what: &str, tensor: &Tensor, dims: &[usize]) -> Result<()> {
    if tensor.dims() == dims {
        return Ok(());
    }
    bail!(
        "{what} has shape {:?} and should have {dims:?}",
        tensor.dims()
    )
}
