//! What measures the fleet and the networks. Nothing here runs in production.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `null` | [`NullEditor`]: an editor without pixels, for load tests and for tests of faults |
//! | [`queue`] | edits a second through coordinator, broker and worker, and how soon one starts |
//! | [`company`] | edits a second with several of them sharing the network's calls |
//! | [`finishing`] | seconds and memory of a recolor and of an edit carried over, by the picture's size |
//! | [`fairness`] | how soon edits of both classes start, beside idle workers and on a fleet full of bulk |
//! | [`networks`] | seconds and memory of the networks, of whole edits and of loading, on random weights or a model's |
//! | `sandbox`, `error` | a database, queues and keys of its own, and the processes on them; what goes wrong |
//! | [`tables`] | milliseconds of each statement that the fleet runs steadily, on full tables |
//!
//! The statements that only a benchmark needs are with all others, in `limekiln_store::bench`. `cargo run --release -p
//! limekiln-bench --example throughput -- URL [edits] [filled]` measures Postgres' statements alone.

pub mod company;
mod error;
pub mod fairness;
pub mod finishing;
pub mod networks;
mod null;
pub mod queue;
mod sandbox;
pub mod tables;

pub use error::{Error, Result};
pub use null::NullEditor;
pub use sandbox::Services;
