//! The networks' layers, on a backend that is chosen once: `cpu` is our own, `candle` is what every other device runs.
//!
//! Networks are built through a [`Builder`], which knows the backend, and speak to [`Backend`], [`Linear`] and [`Conv`]
//! alone. A further backend is a folder beside these two and an arm in `choice`.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`backend`] | what a backend must do; the parameters of layers |
//! | [`choice`] | which backend a device gets |
//! | [`builder`] | layers read from a checkpoint |
//! | [`cpu`] | channels last, in pieces, the same bits on any number of threads |
//! | [`tiles`] | the processor's bf16, where it multiplies bf16 |
//! | [`candle`] | candle's own operations |

mod backend;
mod builder;
mod candle;
mod choice;
mod cpu;
mod tiles;

pub(crate) use backend::{
    After, Attention, Backend, Before, Conv, GroupNorm, LayerNorm, Linear, Padding,
};
pub(crate) use builder::Builder;
pub(crate) use tiles::{OFF, PATHS, Path};

#[cfg(test)]
mod tests;
