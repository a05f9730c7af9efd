/// What can go wrong in an edit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network, scheduler or picture failed.
    #[error(transparent)]
    Diffusion(#[from] limekiln_diffusion::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(candle_core::Error),
    /// A preset's fields do not make sense; the message names the field and what it may be.
    #[error("preset: {0}")]
    Preset(String),
    /// The request cannot be run; the message says what to change.
    #[error("{0}")]
    Request(String),
    /// What is asked of the full-size picture cannot be done.
    #[error(transparent)]
    Finish(#[from] limekiln_finish::Error),
    /// A saved edit cannot be resumed; start the edit over.
    #[error("saved edit: {0}; start it over")]
    State(String),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(limekiln_diffusion::plain(error))
    }
}
