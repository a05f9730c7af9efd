//! Everything that can go wrong in this crate.

/// One error for the crate; messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
