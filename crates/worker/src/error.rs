//! Why a worker can't start, or can't go on.

use std::time::Duration;

use limekiln_memory::mib;

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a worker can't start, or can't go on. Its supervisor should start another.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres refuses the worker.
    #[error("postgres: {0}")]
    Store(#[from] limekiln_store::Error),
    /// The broker refuses the worker.
    #[error("broker: {0}")]
    Broker(#[from] limekiln_broker::Error),
    /// The cache on disk can't be opened.
    #[error("blobs: {0}")]
    Blobs(#[from] limekiln_blobs::Error),
    /// The model can't be loaded.
    #[error("the engine can't start: {0}")]
    Editor(String),
    /// One call of the engine took too long, and its lease is lost.
    #[error(
        "the engine hangs: a step takes longer than {}; restart the worker",
        seconds(after)
    )]
    EngineHung {
        /// The longest that a step may take.
        after: Duration,
    },
    /// The engine's thread has ended.
    #[error("the engine's thread has died: restart the worker")]
    EngineLost,
    /// The broker handle was closed while the worker ran.
    #[error("the broker handle was closed")]
    BrokerClosed,
    /// The models leave no room for an edit.
    #[error(
        "the models hold {} MiB of the {} MiB of memory that the worker may take, and an edit at their size needs {} MiB: \
         give it more, by --memory-mib or the container's limit",
        mib(*.models), mib(*.limit), mib(*.needed)
    )]
    Memory {
        /// Bytes that the models hold.
        models: u64,
        /// Bytes that the process may take.
        limit: u64,
        /// Bytes that an edit of a picture at the model's size needs.
        needed: u64,
    },
    /// The settings can't work.
    #[error("settings: {0}")]
    Settings(&'static str),
}

fn seconds(after: &Duration) -> String {
    format!("{} s", after.as_secs_f64())
}
