//! What every part of Limekiln does with pixels: pictures read within limits, sized for a model, laid over each other,
//! painted, and written. Knows no model, so that the API can use it without one.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`mod@decode`] | bytes to pictures and masks: sniffed, bounded before decoding, turned upright; or only checked |
//! | `limits` | bounds on what is read |
//! | `sniff`, `head`, `png`, `jpeg`, `entropy`, `inks` | what a file is and says before its pixels, and the memory that these take; PNG by rows; JPEG's markers, and whether its pixels are all there; CMYK |
//! | `container` | profiles, EXIF, XMP and resolution of PNG, JPEG, WebP and TIFF; warnings |
//! | [`original`] | a picture as its file holds it: own depth, own color space, metadata; and to bytes again |
//! | [`picture`], [`format`] | colors and transparency as a model sees them; file formats |
//! | [`size`], [`resize`] | the size that a model works at; Lanczos as PIL has it |
//! | `labels` | segments by number |
//! | [`mask`], `marks` | a region at any size; what the pixels of a mask's file mean |
//! | [`compose`] | an edit laid over its input |
//! | `patch` | what an edit changed, alone, and pictures made of it |
//! | `blocks` | a JPEG that keeps the blocks that an edit does not reach |
//! | [`proof`], [`mod@verify`] | that an edit left the rest alone: pixels counted and hashed; from files alone |
//! | [`paint`] | segments, attention and region as pictures |
//! | [`mod@encode`] | pictures to bytes; previews of a few kilobytes |
//! | [`mod@leave`] | the file that a client gets of a stored result |

mod blocks;
pub mod compose;
mod container;
pub mod decode;
pub mod encode;
mod entropy;
mod error;
pub mod format;
mod head;
mod inks;
mod jpeg;
mod labels;
pub mod leave;
mod limits;
mod marks;
pub mod mask;
pub mod original;
pub mod paint;
mod patch;
pub mod picture;
mod png;
pub mod proof;
pub mod resize;
pub mod size;
mod sniff;
pub mod verify;

pub use decode::{Probe, check, decode, mask_decode, matte_decode, opacity_decode, probe};
pub use encode::encode;
pub use error::{Error, Result};
pub use format::Format;
pub use labels::Labels;
pub use leave::{
    Left, Source, Wish, leave, leave_bytes, leave_layers, leave_layers_bytes, leave_original,
};
pub use limits::Limits;
pub use mask::Mask;
pub use original::{Colors, Depth, Original, Warning};
pub use patch::{Layers, Patch};
pub use picture::Picture;
pub use verify::{Verdict, verify};
