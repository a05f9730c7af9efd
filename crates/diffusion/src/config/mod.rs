//! The networks' own configurations, read from diffusers' and transformers' `config.json`.
//!
//! Unknown keys are ignored. A known key with a value that would change the network into something that is not
//! implemented here is an error naming the key: a wrong picture is worse than none.
//!
//! # Layout
//!
//! `unet`, `vae` and `text` hold one network's configuration each, `read` what they share.

mod read;
mod text;
mod unet;
mod vae;

pub use text::TextConfig;
pub use unet::{Level, UnetConfig};
pub use vae::VaeConfig;
