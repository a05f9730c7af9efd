//! A worker on real Postgres and S3, with the in-process broker; and on what `limekiln dev` runs.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on should stop where it is"
)]

mod beside;
mod checkpoints;
mod company;
#[cfg(feature = "embedded")]
mod embedded;
mod faults;
mod gate;
mod lime;
mod load;
mod memory;
mod needs;
mod outages;
mod recolor;
mod reuse;
mod running;
mod sharing;
mod turns;
mod whole;
