//! The networks' layers, fast on the processor, and on candle's own operations elsewhere.
//!
//! Feature maps are `[rows, channels, height, width]` to everyone, but lie in memory channels last when the device is
//! the processor: pixels are then contiguous vectors, 1x1 convolutions and the transformers' projections are matrix
//! products without a copy, and 3x3 convolutions are three products per line over a small padded buffer.
//! Every kernel works within one row of the batch and in pieces of a fixed size, so what a row yields depends neither on
//! its neighbours in the batch nor on the number of threads.
//!
//! Half precision on the processor is stored in half and computed in f32. On other devices each layer falls back to
//! candle's operations; tests hold the two against each other.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`simd`] | one body compiled for several instruction sets; exp, erf, reductions |
//! | [`memory`] | slices of tensors, scratch buffers, matrix products on slices |
//! | [`conv`], [`linear`], [`norm`], [`attention`] | the layers |

pub(crate) mod attention;
pub(crate) mod conv;
pub(crate) mod linear;
pub(crate) mod memory;
pub(crate) mod norm;
pub(crate) mod simd;

use candle_core::{Device, Result, Tensor};

/// Whether this module's own kernels run on a device.
pub(crate) fn native(device: &Device) -> bool {
    #[cfg(test)]
    if tests::FALL_BACK.get() {
        return false;
    }
    device.is_cpu()
}

/// `[rows, channels, height, width]` to `[rows, height * width, channels]`; free when channels lie last.
pub(crate) fn tokens(map: &Tensor) -> Result<Tensor> {
    map.permute((0, 2, 3, 1))?.flatten(1, 2)
}

/// The reverse of [`tokens`]: channels last on the processor, first elsewhere.
pub(crate) fn map(tokens: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (rows, _, channels) = tokens.dims3()?;
    let map = tokens
        .reshape((rows, height, width, channels))?
        .permute((0, 3, 1, 2))?;
    if native(tokens.device()) {
        Ok(map)
    } else {
        map.contiguous()
    }
}

/// Joins two feature maps along their channels.
pub(crate) fn join(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if native(a.device()) {
        let last = |x: &Tensor| x.permute((0, 2, 3, 1));
        Tensor::cat(&[last(a)?, last(b)?], 3)?.permute((0, 3, 1, 2))
    } else {
        Tensor::cat(&[a, b], 1)
    }
}

#[cfg(test)]
pub(crate) mod tests;
