//! `limekiln bench tables`.

use clap::Args;

use super::{DatabaseArgs, TelemetryArgs};

/// Measure Postgres' statements on full tables: milliseconds of each that the fleet runs steadily
///
/// Fills a database of its own on the named server, within minutes, and removes it afterwards. Needs a role that may create
/// databases and set `session_replication_role`, as a superuser may.
#[derive(Args, Debug)]
pub(crate) struct TablesArgs {
    /// Queued edits; half of them are one tenant's
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..=100_000_000))]
    pub(crate) queued: u32,

    /// Edits that ended
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    pub(crate) ended: u32,

    /// Tenants that they belong to
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(256..=1_000_000))]
    pub(crate) tenants: u32,

    /// Turns that wait for their parents
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) waiting: u32,

    /// How often each statement is run
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,

    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
