//! What the engine's thread runs.
//!
//! # Layout
//!
//! - `contract`: [`Editor`], and what passes between it and the engine
//! - `lime`: the method, on one or more models
//! - `null`: an editor that computes nothing, for tests of everything but the pixels

mod contract;
mod lime;
mod null;

pub use contract::{BoxError, Editor, Factory, Output, Outputs, Progress, Render, RunId, Work};
pub use lime::{LimeEditor, LimeModel};
pub use null::NullEditor;
