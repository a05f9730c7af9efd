//! What is measured.

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What the arrivals are drawn from.
    pub seed: u64,
    /// Workers, of one slot each.
    pub workers: u32,
    /// Tenants that take turns.
    pub tenants: u32,
    /// By how much the durations, of 2 s and 40 s, are shortened.
    pub faster: u32,
    /// How long edits arrive in each of the two runs, in seconds.
    pub seconds: u32,
}
