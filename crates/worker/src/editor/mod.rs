//! What the engine's thread runs.
//!
//! # Layout
//!
//! - `contract`: the trait [`Editor`], its input and its output
//! - `lime`: the method, on one or more models
//! - `null`: everything but the pixels

mod contract;
mod lime;
mod null;

pub use contract::{BoxError, Drawing, Editor, Factory, Output, Outputs, Progress, Ticket, Work};
pub use lime::{LimeEditor, LimeModel};
pub use null::NullEditor;
