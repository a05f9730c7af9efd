//! InstructPix2Pix on candle: networks with hooks, schedulers, torch's noise, every checkpoint layout.
//! Knows nothing of LIME and nothing of jobs.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`checkpoint`] | diffusers folders, LDM single files, the hub's cache: names and shapes checked, memory-mapped |
//! | [`config`] | the networks' own configurations |
//! | [`tokenizer`], [`text`] | CLIP's byte-pair tokens and text states |
//! | [`unet`], [`vae`] | the networks |
//! | `kernels` | the networks' layers, on one of two backends |
//! | [`control`] | biases into, and features and probabilities out of, attention |
//! | [`guidance`] | the three lanes of InstructPix2Pix and how they combine |
//! | [`scheduler`], [`noise`] | trajectories as diffusers steps them, noise as torch draws it |
//! | [`picture`] | pictures to tensors and back |
//! | [`pulse`] | signs of life of a long computation |
//! | [`profile`] | how long each kind of layer takes |
//! | [`device`], [`model`] | where it runs, and everything loaded |

pub mod checkpoint;
pub mod config;
pub mod control;
pub mod device;
mod error;
pub mod guidance;
mod kernels;
pub mod model;
pub mod noise;
pub mod picture;
pub mod profile;
pub mod pulse;
pub mod scheduler;
pub mod text;
pub mod tokenizer;
pub mod unet;
pub mod vae;

pub use error::{Error, plain};
