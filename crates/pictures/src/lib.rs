//! What every part of Limekiln does with pixels: pictures read within limits, sized for a model, laid over each other,
//! painted, and written.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`mod@decode`] | bytes to pictures and masks: sniffed, bounded before decoding, turned upright |
//! | [`size`] | the size that a model works at, and pictures and masks brought to it |
//! | [`resize`] | Lanczos as PIL has it |
//! | [`mask`] | a region at any size |
//! | [`compose`] | an edit laid over its input; transparency kept |
//! | [`paint`] | segments, attention and region as pictures |
//! | [`encode`] | pictures to bytes; previews of a few kilobytes |

pub mod compose;
pub mod decode;
pub mod encode;
mod error;
pub mod mask;
pub mod paint;
pub mod resize;
pub mod size;

pub use decode::{Format, Limits, Picture, Probe, decode, mask_decode, probe};
pub use error::{Error, Result};
pub use mask::Mask;
