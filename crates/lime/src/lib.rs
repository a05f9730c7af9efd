//! LIME: edit localisation and regularised attention on InstructPix2Pix (Simsar et al., "LIME: Localized Image Editing
//! via Attention Regularization in Diffusion Models"). Knows nothing of jobs.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`preset`] | every number of the method as data: `paper`, `official`, `fast`, `base` |
//! | [`words`] | which tokens are read to find the region, and which are penalised in it |
//! | [`fuse`], [`kmeans`] | features of many sizes as one grid that is never built, and its segments |
//! | [`roi`] | the map, its points, the segments that hold them |
//! | [`bias`], [`observer`] | equations 3 and 4 as biases; what is read during one U-Net call |
//! | [`lanes`], [`trajectory`] | which lanes run and how they combine; one denoising run that can stop anywhere |
//! | [`found`] | the object in the full-size picture: its materials, where they end |
//! | [`window`] | the rectangle of latents that stage 2 computes |
//! | [`edit`], [`mod@run`] | the two stages as a state machine; whole edits |
//! | [`known`], `located` | what an earlier edit of the picture computed, so that this one need not; what stage 1 finds |
//! | [`state`] | its saved form, and the digests of picture, region and run |
//! | [`report`], `cost` | what happened; what it will cost |
//! | [`canvas`] | the user's picture on its way through an edit: read, asked for, finished |

pub mod bias;
pub mod canvas;
mod cost;
pub mod edit;
mod error;
pub mod found;
pub mod fuse;
pub mod kmeans;
pub mod known;
pub mod lanes;
mod located;
pub mod observer;
pub mod preset;
pub mod report;
pub mod roi;
pub mod run;
pub mod state;
mod sums;
mod timings;
pub mod trajectory;
pub mod window;
pub mod words;

pub use edit::{Decoded, Edit, Outcome, Progress, Request, Stage};
pub use error::{Error, Result};
pub use known::Known;
pub use preset::Preset;
pub use report::Report;
pub use run::{probe, run};
