//! Every layer by candle's own operations: right on every device that candle knows, and what our kernels are tested
//! against.

mod attention;
mod conv;
mod linear;

use std::sync::Arc;

use candle_core::{Result, Tensor};
use candle_nn::Module;

use super::backend::{Attended, Attention, Backend, Conv, GroupNorm, LayerNorm, Linear, Padding};

pub(super) use attention::attention_in_slices;

/// Candle's backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candle;

impl Backend for Candle {
    fn linear(&self, weight: &Tensor, bias: Option<Tensor>) -> Result<Arc<dyn Linear>> {
        Ok(Arc::new(linear::CandleLinear {
            weight: weight.clone(),
            bias,
        }))
    }

    fn conv(
        &self,
        weight: Tensor,
        bias: Tensor,
        stride: usize,
        padding: Padding,
    ) -> Result<Arc<dyn Conv>> {
        Ok(Arc::new(conv::CandleConv {
            weight,
            bias,
            stride,
            padding,
        }))
    }

    fn group_norm(&self, norm: &GroupNorm, x: &Tensor) -> Result<Tensor> {
        conv::group_norm(norm, x)
    }

    fn layer_norm(&self, norm: &LayerNorm, x: &Tensor) -> Result<Tensor> {
        candle_nn::LayerNorm::new(norm.weight.clone(), norm.bias.clone(), norm.eps)
            .forward(&x.contiguous()?)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        how: Attention<'_>,
    ) -> Result<Attended> {
        attention_in_slices(q, k, v, how, attention::SLICE)
    }

    fn map(&self, tokens: &Tensor, height: usize, width: usize) -> Result<Tensor> {
        let (rows, _, channels) = tokens.dims3()?;
        tokens
            .reshape((rows, height, width, channels))?
            .permute((0, 3, 1, 2))?
            .contiguous()
    }

    fn join(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        Tensor::cat(&[a, b], 1)
    }
}
