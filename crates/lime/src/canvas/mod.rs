//! One picture on its way through an edit, the same for the command and for the worker: read, asked for, finished.
//!
//! # Layout
//!
//! - `read`: the input and the user's mask, from bytes
//! - `request`: what the model is shown at its working size, and the checks on the instruction
//! - `paint`: what is to be recolored, and in what
//! - `finish`: from the model's picture, or the recolored object, to the result, its report and the pictures of its stages
//! - `recolor`: the object in another color
//! - `detail`: the model's edit carried over to the full-size picture
//! - `segments`: its segments by number, for a user to choose from
//! - `warnings`: what the user should know about the picture and the file of the result
//! - `error`: why an edit can't be started

mod detail;
mod error;
mod finish;
mod paint;
mod read;
mod recolor;
mod request;
mod segments;
mod warnings;

pub use detail::{Carry, CarryReport, Way as CarryWay};
pub use error::Error;
pub use finish::{Finish, Finished, Finishing, ResultReport, Stages, View};
pub use paint::paint;
pub use read::Canvas;
pub use recolor::{MaterialReport, RecolorReport};
pub use request::{Recipe, length_check, tokens_check};
pub use segments::{Numbered, Part};
pub use warnings::Warning;
