//! What goes wrong in a benchmark.

/// What goes wrong in a benchmark.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] limekiln_lime::Error),
    /// A room's picture or an instruction that the engine does not take.
    #[error(transparent)]
    Canvas(#[from] limekiln_lime::canvas::Error),
    /// A room's file that can't be read.
    #[error(transparent)]
    Picture(#[from] limekiln_pictures::Error),
    /// A room that can't be drawn.
    #[error(transparent)]
    Shot(#[from] limekiln_rooms::room::ShotError),
    /// Pictures that can't be compared.
    #[error(transparent)]
    Score(#[from] limekiln_rooms::score::Error),
    /// One edit failed.
    #[error("room {room}, {row}")]
    Edit {
        /// The room's number.
        room: u64,
        /// Label of the row: its preset, with the fields that replace its own.
        row: String,
        /// Why.
        source: Box<Self>,
    },
    /// The machine has no threads left.
    #[error("can't start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// The crate's results.
pub type Result<T> = std::result::Result<T, Error>;
