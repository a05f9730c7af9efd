//! What goes wrong while the fleet or the networks are measured.

use std::time::Duration;

/// What goes wrong while the fleet or the networks are measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Postgres'.
    #[error(transparent)]
    Store(#[from] limekiln_store::Error),
    /// RabbitMQ's.
    #[error(transparent)]
    Broker(#[from] limekiln_broker::Error),
    /// S3's.
    #[error(transparent)]
    Blobs(#[from] limekiln_blobs::Error),
    /// The coordinator ended, or a submission failed.
    #[error(transparent)]
    Coordinator(#[from] limekiln_coordinator::Error),
    /// The worker ended.
    #[error(transparent)]
    Worker(#[from] limekiln_worker::Error),
    /// A task panicked.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
    /// There is no folder for the worker's cache.
    #[error("a folder for the worker's cache: {0}")]
    Cache(#[source] std::io::Error),
    /// The name of the sandbox is no name of a model.
    #[error("the model's name: {0}")]
    Name(String),
    /// A submission was refused; the text is the refusal.
    #[error("a submission was not taken: {0}")]
    Refused(String),
    /// So many edits have failed.
    #[error("{0} edits did not succeed")]
    Unsuccessful(i64),
    /// Something is broken.
    #[error("no edit has ended for {after:?}; {unfinished} have not")]
    Stuck {
        /// For so long.
        after: Duration,
        /// Edits that have not ended.
        unfinished: u64,
    },
    /// A network's, or a checkpoint's.
    #[error(transparent)]
    Diffusion(#[from] limekiln_diffusion::Error),
    /// An edit's.
    #[error(transparent)]
    Lime(#[from] limekiln_lime::Error),
    /// Finishing's.
    #[error(transparent)]
    Finish(#[from] limekiln_finish::Error),
    /// A picture's.
    #[error(transparent)]
    Picture(#[from] limekiln_pictures::Error),
    /// The folder of random weights can't be written.
    #[error("the folder of random weights: {0}")]
    Weights(#[source] std::io::Error),
    /// What is to be measured does not fit the model.
    #[error("{0}")]
    Unfit(String),
    /// Told to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The benchmarks' results.
pub type Result<T> = std::result::Result<T, Error>;
