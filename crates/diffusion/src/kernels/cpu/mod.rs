//! Our own kernels for the processor.
//!
//! Feature maps are `[rows, channels, height, width]` to everyone, but lie in memory channels last: pixels are then
//! contiguous vectors, 1x1 convolutions and the transformers' projections are matrix products without a copy, and 3x3
//! convolutions are three products per line over a small padded buffer. Every kernel works within one row of the batch
//! and in pieces of a fixed size, so what a row yields depends neither on its neighbours in the batch nor on the number
//! of threads. Half precision is stored in half and computed in f32.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`simd`] | one body compiled for several instruction sets; exp, erf, reductions |
//! | [`memory`] | slices of tensors, scratch buffers, matrix products on slices |
//! | [`conv`], [`linear`], [`norm`], [`attention`] | the layers |

mod attention;
mod conv;
mod linear;
pub(super) mod memory;
pub(super) mod norm;
pub(super) mod simd;

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::backend::{Attended, Attention, Backend, Conv, GroupNorm, LayerNorm, Linear, Padding};

/// The processor's backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpu;

impl Backend for Cpu {
    fn linear(&self, weight: &Tensor, bias: Option<Tensor>) -> Result<Arc<dyn Linear>> {
        Ok(Arc::new(linear::CpuLinear::new(weight, bias)?))
    }

    fn conv(
        &self,
        weight: Tensor,
        bias: Tensor,
        stride: usize,
        padding: Padding,
    ) -> Result<Arc<dyn Conv>> {
        Ok(Arc::new(conv::CpuConv::new(
            &weight, bias, stride, padding,
        )?))
    }

    fn group_norm(&self, norm: &GroupNorm, x: &Tensor) -> Result<Tensor> {
        norm::group_norm(norm, x)
    }

    fn layer_norm(&self, norm: &LayerNorm, x: &Tensor) -> Result<Tensor> {
        norm::layer_norm(norm, x)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        how: Attention<'_>,
    ) -> Result<Attended> {
        attention::attention(q, k, v, how)
    }

    fn map(&self, tokens: &Tensor, height: usize, width: usize) -> Result<Tensor> {
        let (rows, _, channels) = tokens.dims3()?;
        tokens
            .reshape((rows, height, width, channels))?
            .permute((0, 3, 1, 2))
    }

    fn join(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let last = |x: &Tensor| x.permute((0, 2, 3, 1));
        Tensor::cat(&[last(a)?, last(b)?], 3)?.permute((0, 3, 1, 2))
    }
}
