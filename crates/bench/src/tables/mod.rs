//! How long each statement takes that the fleet runs steadily, on full tables: none may grow with them.
//!
//! # Layout
//!
//! - `statements`: what is run, and how often

mod statements;

use limekiln_store::Store;
use limekiln_store::bench::{Full, Scratch};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use statements::measure;

/// What is measured, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://user:password@host:5432/database`; its role may create databases.
    pub database: String,
    /// Of the database that is made there: a-z, 0-9 and -.
    pub name: String,
    /// Most connections to Postgres.
    pub connections: u32,
    /// Queued edits.
    pub queued: u32,
    /// Edits that ended.
    pub ended: u32,
    /// Tenants, 256 or more.
    pub tenants: u32,
    /// Turns whose parents are queued.
    pub waiting: u32,
    /// Runs of each statement.
    pub repeat: u32,
}

/// A statement's time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    /// The statement.
    pub statement: &'static str,
    /// Rows that a run answers or writes, at most.
    pub rows: usize,
    /// Half of the runs took no longer.
    pub p50_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// What goes wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Postgres'.
    #[error(transparent)]
    Store(#[from] limekiln_store::Error),
    /// There is nothing to measure.
    #[error("{0}")]
    Empty(&'static str),
    /// Told to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The benchmark's results.
pub type Result<T> = std::result::Result<T, Error>;

/// Fills a database and measures; calls `observe` after each statement. The database is removed in any case.
///
/// # Errors
///
/// What Postgres says; [`Error::Interrupted`] after `shutdown`.
pub async fn run(
    settings: &Settings,
    shutdown: CancellationToken,
    observe: impl FnMut(&Row),
) -> Result<Vec<Row>> {
    let scratch = Scratch::create(&settings.database, &settings.name).await?;
    let outcome = tokio::select! {
        rows = fill_and_measure(settings, &scratch, observe) => rows,
        () = shutdown.cancelled() => Err(Error::Interrupted),
    };
    scratch.remove().await?;
    outcome
}

async fn fill_and_measure(
    settings: &Settings,
    scratch: &Scratch,
    observe: impl FnMut(&Row),
) -> Result<Vec<Row>> {
    let mut database = limekiln_store::Settings::new(scratch.url());
    database.connections = settings.connections.max(2);
    let store = Store::connect(&database).await?;
    store.migrate().await?;
    tracing::info!("filling the tables");
    let full = Full {
        tenants: settings.tenants,
        queued: settings.queued,
        ended: settings.ended,
        waiting: settings.waiting,
    };
    store.tables_fill(full).await?;
    let rows = measure(&store, settings.repeat, observe).await;
    store.close().await;
    rows
}
