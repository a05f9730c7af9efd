//! Whole edits with the small reference checkpoints.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on ends in a panic"
)]

mod base;
mod common;
mod company;
mod edits;
mod golden;
mod known;
mod reading;
mod recolor;
mod resume;
mod windowed;
#[expect(
    clippy::print_stdout,
    reason = "the largest differences are worth a look"
)]
mod windowed_golden;
