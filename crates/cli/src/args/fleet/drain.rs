//! `limekiln drain`.

use std::time::Duration;

use clap::Args;

use super::services::span;
use super::{DatabaseArgs, TelemetryArgs};

/// Let the workers of this machine finish their edits and exit
///
/// Tells every worker that runs on this machine (in a container: in this container) to take no more edits, and waits
/// until all have ended. Exits with 1 when some have not by then; a SIGTERM makes those hand their edits back.
#[derive(Args, Debug)]
pub(crate) struct DrainArgs {
    /// Longest time to wait for the workers
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = span)]
    pub(crate) wait: Duration,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
