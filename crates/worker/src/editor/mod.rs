//! What the engine's thread runs.
//!
//! # Layout
//!
//! - `contract`: [`Editor`], and what passes between it and the engine
//! - `lime`: the method, on one or more models

mod contract;
mod lime;

pub use contract::{
    Beside, BoxError, Editor, Factory, Fit, Landed, Output, Outputs, Progress, Render, RunId, Work,
};
pub use lime::{LimeEditor, LimeModel};
