//! `limekiln bench fairness`.

use clap::Args;

use super::{ServicesArgs, TelemetryArgs};

/// Measure how soon edits of both classes start, beside idle workers and on a fleet full of bulk
///
/// Runs coordinator and workers of the null editor, of one slot each, in this process against the named Postgres, RabbitMQ and
/// S3, in a database, queues and keys of its own, and removes them afterwards. Edits take 2 s or 40 s, shortened by --faster.
#[derive(Args, Debug)]
pub(crate) struct FairnessArgs {
    /// What the arrivals are drawn from; drawn and printed without it
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Workers of one slot each
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,

    /// Tenants that take turns
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) tenants: u32,

    /// By how much the durations are shortened
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) faster: u32,

    /// How long edits come in each of the two runs
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=3600))]
    pub(crate) seconds: u32,

    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) services: ServicesArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
