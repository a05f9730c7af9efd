//! How soon edits start, by class: beside idle workers, and on a fleet that is full of bulk. Everything but the pixels is real.
//!
//! # Layout
//!
//! - `settings`: what is measured
//! - `arrivals`: which edits come when, drawn from the seed
//! - `run`: submits them, and reads how long they waited

mod arrivals;
mod run;
mod settings;

use limekiln_store::bench::ClassWaits;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use settings::Settings;

use crate::error::{Error, Result};
use crate::sandbox::{Fleet, Sandbox, Services};

/// How soon the edits of one class started in one of the runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    /// `idle`: a quarter of the workers is busy; `full`: all are, with bulk.
    pub fleet: &'static str,
    /// How long they waited.
    #[serde(flatten)]
    pub waits: ClassWaits,
}

/// Measures both runs on workers of their own. What was made in the services is removed in any case.
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
    let stop = CancellationToken::new();
    let fleet = Fleet {
        workers: settings.workers,
        slots: 1,
        blobs: true,
    };
    let running = sandbox.start(fleet, &stop)?;
    sandbox.workers_ready(settings.workers).await?;
    let mut rows = Vec::new();
    for (fleet, arrivals) in [
        ("idle", arrivals::beside_idle(settings)),
        ("full", arrivals::full_of_bulk(settings)),
    ] {
        for waits in run::run(&arrivals, settings.faster, sandbox, &running).await? {
            let row = Row { fleet, waits };
            observe(&row);
            rows.push(row);
        }
    }
    stop.cancel();
    running.ended().await?;
    Ok(rows)
}
