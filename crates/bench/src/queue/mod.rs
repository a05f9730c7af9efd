//! How many edits a second pass through the queue, and how soon one starts. Everything but the pixels is real.
//!
//! # Layout
//!
//! - `settings`: what is measured
//! - `run`: all edits at once, then a stream of them at half that rate

mod run;
mod settings;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use run::Figures;
pub use settings::Settings;

use crate::error::{Error, Result};
use crate::sandbox::{Sandbox, Services};

/// One run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    /// Finished edits in the tables before the run.
    pub filled: u32,
    /// Whether inputs were read from S3 and results written to it.
    pub blobs: bool,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Measures on empty tables and then on filled ones, each without blobs and with them. Calls `observe` after each run.
/// What was made in the services is removed in any case.
///
/// # Errors
///
/// What a service says; an edit that does not succeed; [`Error::Interrupted`] after `shutdown`.
pub async fn run(
    settings: &Settings,
    services: Services,
    shutdown: CancellationToken,
    observe: impl FnMut(&Row),
) -> Result<Vec<Row>> {
    let sandbox = Sandbox::new(settings.tenants, services).await?;
    let outcome = tokio::select! {
        rows = rows(settings, &sandbox, observe) => rows,
        () = shutdown.cancelled() => Err(Error::Interrupted),
    };
    sandbox.remove().await?;
    outcome
}

async fn rows(
    settings: &Settings,
    sandbox: &Sandbox,
    mut observe: impl FnMut(&Row),
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for filled in [0, settings.filled] {
        if filled > 0 {
            sandbox.fill(filled).await?;
        } else if !rows.is_empty() {
            continue;
        }
        for blobs in [false, true] {
            if blobs && !settings.blobs {
                continue;
            }
            let figures = run::run(settings, sandbox, blobs).await?;
            let row = Row {
                filled,
                blobs,
                figures,
            };
            observe(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}
