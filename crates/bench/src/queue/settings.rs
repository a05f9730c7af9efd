//! What is measured.

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Edits of each run.
    pub edits: u32,
    /// Tenants that they belong to.
    pub tenants: u32,
    /// Slots of the worker.
    pub slots: u32,
    /// Finished edits in the tables of the later runs; with 0 there are no such runs.
    pub filled: u32,
    /// Whether to measure with blobs as well.
    pub blobs: bool,
}
