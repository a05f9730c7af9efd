//! Where an edit's time went.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Milliseconds by stage, over all runs of an edit that was resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// To encode the picture and the instruction.
    pub encode_ms: f64,
    /// To locate the region, without the clustering.
    pub locate_ms: f64,
    /// To cluster features into segments.
    pub segment_ms: f64,
    /// To edit.
    pub edit_ms: f64,
    /// To decode the latents.
    pub decode_ms: f64,
    /// To decode the input's own latents, where the finish compares both.
    #[serde(default)]
    pub decode_input_ms: f64,
}

/// Milliseconds from `since` to now.
pub(crate) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
