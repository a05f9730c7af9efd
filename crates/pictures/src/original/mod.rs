//! A picture as its file holds it, upright: samples at their own depth and in their own color space, with what the file says
//! beside them. What a model sees of it, in 8 bits and sRGB, is made on demand, so that no picture is in memory twice.
//!
//! # Layout
//!
//! - `upright`: the picture itself, and what is made of it
//! - `samples`: colors and opacity of 8 or 16 bits
//! - `space`, `convert`: color spaces, to sRGB and back
//! - `metadata`, `xmp`: what goes with the pixels; XMP, patched as text
//! - `told`: space and metadata of what a container says
//! - `write`: an original to bytes

mod convert;
mod metadata;
mod samples;
mod space;
mod told;
mod upright;
mod write;
mod xmp;

pub(crate) use convert::ToSrgb;
pub use metadata::Metadata;
pub use samples::{Colors, Depth, Gray16Image, Opacity, Rgb16Image};
pub(crate) use samples::{deep, shallow};
pub use space::Space;
pub(crate) use told::{Kind, Told, brightness_check, orientation};
pub use upright::Original;
pub use write::JPEG_QUALITY;
pub(crate) use xmp::without_pictures;

pub use crate::container::{Length, Resolution, Warning};
