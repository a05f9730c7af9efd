//! Statements that only benchmarks need; the product is built without them (feature `bench`).
//!
//! # Layout
//!
//! - `scratch`: a database of its own
//! - `fill`: finished edits, as if the fleet had run for a month
//! - `tables`: many tenants, a long queue, waiting turns
//! - `waits`: how long edits waited for their start

mod fill;
mod scratch;
mod tables;
mod waits;

pub use scratch::Scratch;
pub use tables::Full;
pub use waits::{ClassWaits, Waits};
