//! What an edit costs whoever runs it.

/// What an edit costs at its model's own size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Rows of the network's batch: lanes times steps, over both stages.
    pub rows: u64,
    /// Distances that clustering computes: pixels of the grid, times clusters, starts and rounds.
    pub distances: u64,
}
