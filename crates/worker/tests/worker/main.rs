//! A worker on real Postgres and S3, with the in-process broker; and on what `limekiln dev` runs.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on should stop where it is"
)]

mod checkpoints;
mod faults;
mod gate;
mod house;
mod lime;
mod load;
mod outages;
mod running;
mod whole;
