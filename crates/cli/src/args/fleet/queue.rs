//! `limekiln bench queue`.

use clap::Args;

use super::{ServicesArgs, TelemetryArgs};

/// Measure the queue: edits a second, and milliseconds from submit to start
///
/// Runs coordinator and workers of the null editor in this process against the named Postgres, RabbitMQ and S3, in a
/// database, queues and keys of its own, and removes them afterwards. Everything but the pixels is real.
#[derive(Args, Debug)]
pub(crate) struct QueueArgs {
    /// Edits of each run
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) edits: u32,

    /// Tenants that they belong to
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) tenants: u32,

    /// Slots of the worker
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) slots: u32,

    /// Then fill the tables with this many finished edits and measure again; 0 leaves that out
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) filled: u32,

    /// Leave out the runs with blobs
    #[arg(long)]
    pub(crate) no_blobs: bool,

    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) services: ServicesArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
