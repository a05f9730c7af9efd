//! Kernels for bf16 on processors that multiply it: AMX's tiles, or the dot products of AVX-512-BF16.
//!
//! Weights are kept in bf16, packed as the instructions read them. Maps lie channels last, as those of [`cpu`](super::cpu), and
//! every output is computed alone: neither its neighbours in the batch nor the number of threads change a bit. Products are
//! summed in f32; what lies between layers is bf16.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`path`] | which instructions there are, and a thread's use of them |
//! | [`block`] | the product of 32 by 32 that everything is made of, and its meaning in plain words |
//! | [`amx`], [`avx512`] | the same by instructions |
//! | [`line`], [`packed`], [`padded`] | operands as blocks read them |
//! | [`work`], [`finish`] | a layer's product in pieces; bias, residual and gate on its way out |
//! | [`conv`], [`linear`], [`norm`], [`attention`] | the layers |

#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;
mod conv;
mod finish;
mod line;
mod linear;
mod memory;
mod norm;
mod packed;
mod padded;
mod path;
mod softmax;
mod work;

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::backend::{Attended, Attention, Backend, Conv, GroupNorm, LayerNorm, Linear, Padding};
use super::cpu::Cpu;

pub(crate) use path::{OFF, PATHS, Path};

/// The backend of one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles(pub(super) Path);

impl Backend for Tiles {
    fn linear(&self, weight: &Tensor, bias: Option<Tensor>) -> Result<Arc<dyn Linear>> {
        Ok(Arc::new(linear::TileLinear::new(self.0, weight, bias)?))
    }

    fn conv(
        &self,
        weight: Tensor,
        bias: Tensor,
        stride: usize,
        padding: Padding,
    ) -> Result<Arc<dyn Conv>> {
        Ok(Arc::new(conv::TileConv::new(
            self.0, &weight, &bias, stride, padding,
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
        if how.bias.is_some() || how.probabilities {
            // Few keys, those of the text: in f32, as whoever looks at the probabilities wants them.
            return Cpu.attention(q, k, v, how);
        }
        attention::attention(self.0, q, k, v, how.heads)
    }

    fn map(&self, tokens: &Tensor, height: usize, width: usize) -> Result<Tensor> {
        Cpu.map(tokens, height, width)
    }

    fn join(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        Cpu.join(a, b)
    }
}

#[cfg(test)]
mod tests;
