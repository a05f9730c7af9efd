//! `limekiln work`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::services::span;
use super::{ServicesArgs, StatusArgs, TelemetryArgs};
use crate::args::ModelArgs;

/// Run a worker: takes edits, runs them, returns the results
///
/// Needs Postgres, RabbitMQ and S3. Run one a GPU (CUDA_VISIBLE_DEVICES chooses). SIGTERM: takes no more, hands the
/// edit under way back with its last checkpoint for another worker to go on from, and exits within 10 seconds.
#[derive(Args, Debug)]
pub(crate) struct WorkArgs {
    /// The name that edits call the model by [default: as --model, for `rooms`; else it must be given]
    #[arg(long = "as", value_name = "NAME", env = "LIMEKILN_MODEL_NAME")]
    pub(crate) served_as: Option<String>,

    #[command(flatten)]
    pub(crate) editor: EditorArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) lease: LeaseArgs,
    #[command(flatten)]
    pub(crate) services: ServicesArgs,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// What edits.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Editor")]
pub(crate) struct EditorArgs {
    /// What edits: the engine, or nothing (for load tests)
    #[arg(long, value_name = "EDITOR", default_value = "lime")]
    pub(crate) editor: EditorArg,

    /// Edits at a time
    #[arg(long, value_name = "N", env = "LIMEKILN_SLOTS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) slots: u32,

    /// Steps of an edit of the null editor
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) null_steps: u32,

    /// Milliseconds that a step of the null editor takes
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=600_000))]
    pub(crate) null_step_ms: u32,

    /// The null editor reads no image and writes no result
    #[arg(long)]
    pub(crate) null_no_blobs: bool,
}

/// What edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EditorArg {
    /// LIME on the model
    Lime,
    /// Everything but the pixels
    Null,
}

/// Leases, checkpoints, and the cache on disk.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Lease")]
pub(crate) struct LeaseArgs {
    /// A worker that is silent for this long loses its edit to another
    #[arg(long, value_name = "TIME", env = "LIMEKILN_LEASE", default_value = "15s", value_parser = span)]
    pub(crate) lease: Duration,

    /// Save the edit's state to S3 this often
    #[arg(long, value_name = "TIME", env = "LIMEKILN_CHECKPOINT_EVERY", default_value = "3s", value_parser = span)]
    pub(crate) checkpoint_every: Duration,

    /// A step that takes longer than this means that the engine hangs: the worker gives the edit up and exits
    #[arg(long, value_name = "TIME", env = "LIMEKILN_STALL_AFTER", default_value = "2min", value_parser = span)]
    pub(crate) stall_after: Duration,

    /// Folder for inputs and weights fetched before [default: limekiln in the system's cache folder]
    #[arg(long, value_name = "DIR", env = "LIMEKILN_CACHE")]
    pub(crate) cache: Option<PathBuf>,

    /// Bound on the inputs kept there, in MiB
    #[arg(long, value_name = "MIB", env = "LIMEKILN_CACHE_MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub(crate) cache_mib: u32,
}
