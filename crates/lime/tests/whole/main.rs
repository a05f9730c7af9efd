//! Whole edits with the small reference checkpoints.

mod base;
mod common;
mod edits;
mod resume;
