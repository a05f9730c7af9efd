//! What `limekiln edit` reports.

use serde::Serialize;

/// The files around an edit, and the edit's own report. Sizes are width and height in pixels.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) input: String,
    pub(crate) input_size: (u32, u32),
    pub(crate) output: String,
    pub(crate) output_size: (u32, u32),
    /// Files in the folder of `--artifacts`.
    pub(crate) artifacts: Vec<String>,
    /// With `--keep-outside`: how the result was put together.
    pub(crate) composite: Option<Composite>,
    /// Settings, timings and findings; `warnings` holds those of the command too.
    #[serde(flatten)]
    pub(crate) edit: limekiln_lime::Report,
}

/// The edit laid over the input.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Composite {
    /// Width of the seam around the region, in pixels of the input.
    pub(crate) feather_px: u32,
    /// Pixels beyond the seam that are not the input's own.
    pub(crate) changed_outside_px: u64,
}
