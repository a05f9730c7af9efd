//! `limekiln work`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::services::span;
use super::{ServicesArgs, StatusArgs, TelemetryArgs};
use crate::args::ModelArgs;

/// Run a worker: takes edits, runs them, returns the results
///
/// Needs Postgres, RabbitMQ and S3. Run one for each GPU (CUDA_VISIBLE_DEVICES chooses). On SIGTERM it takes no more
/// edits, hands the edit under way back with a last checkpoint for another worker to resume, and exits within 10 seconds.
#[derive(Args, Debug)]
pub(crate) struct WorkArgs {
    #[command(flatten)]
    pub(crate) served: ServedArgs,

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

/// What edits call the model.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServedArgs {
    /// The name that edits call the model by [default: the last part of --model: `instruct-pix2pix` for
    /// hf:timbrooks/instruct-pix2pix, `ip2p` for ./ip2p.safetensors]
    #[arg(long = "as", value_name = "NAME", env = "LIMEKILN_MODEL_NAME")]
    pub(crate) served_as: Option<String>,
}

/// What runs the edits, and how many at a time.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Editor")]
pub(crate) struct EditorArgs {
    /// What runs the edits: the engine, or a stand-in that computes nothing, for load tests
    #[arg(long, value_name = "EDITOR", default_value = "lime")]
    pub(crate) editor: EditorArg,

    /// Most edits that the worker runs at a time; they share calls of the network. Where memory has room for fewer, that many
    #[arg(long, value_name = "N", env = "LIMEKILN_SLOTS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) slots: u32,

    /// Memory that the worker may take, in MiB: models, images, computing and drawing. An edit waits until there is room for
    /// it [default: four fifths of what the machine or the container has]
    #[arg(long, value_name = "MIB", env = "LIMEKILN_MEMORY_MIB", value_parser = clap::value_parser!(u32).range(64..=4_194_304))]
    pub(crate) memory_mib: Option<u32>,

    /// Largest `size` that edits may ask for [default: four times the model's own; less where memory or time do not do for it]
    #[arg(long, value_name = "PX", env = "LIMEKILN_SIZE_MAX", value_parser = clap::value_parser!(u32).range(64..=2048))]
    pub(crate) size_max: Option<u32>,

    /// Most steps times lanes (a guided step has three) that an edit may ask for at the model's own size; larger ones count by area
    #[arg(long, value_name = "N", env = "LIMEKILN_ROWS_MAX", default_value_t = limekiln_worker::Settings::ROWS_MAX, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows_max: u64,

    /// Most distances that an edit's segmentation may compute: grid squared, times clusters, starts and rounds
    #[arg(long, value_name = "N", env = "LIMEKILN_DISTANCES_MAX", default_value_t = limekiln_worker::Settings::DISTANCES_MAX, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) distances_max: u64,

    /// Steps of an edit, with the null editor
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) null_steps: u32,

    /// Milliseconds that a step takes, with the null editor
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=600_000))]
    pub(crate) null_step_ms: u32,

    /// Read no image and write no result, with the null editor
    #[arg(long)]
    pub(crate) null_no_blobs: bool,
}

/// What runs the edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EditorArg {
    /// Run LIME on the model
    Lime,
    /// Compute nothing: the result is the input
    Null,
}

/// Leases, checkpoints, and the cache on disk.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Lease")]
pub(crate) struct LeaseArgs {
    /// How long an edit's lease lasts: a worker that is silent for longer loses its edits to others
    #[arg(long, value_name = "TIME", env = "LIMEKILN_LEASE", default_value = "15s", value_parser = span)]
    pub(crate) lease: Duration,

    /// How often a running edit's state is saved to S3
    #[arg(long, value_name = "TIME", env = "LIMEKILN_CHECKPOINT_EVERY", default_value = "3s", value_parser = span)]
    pub(crate) checkpoint_every: Duration,

    /// Longest time that a step may take: past it the engine hangs, and the worker gives its edits up and exits
    #[arg(long, value_name = "TIME", env = "LIMEKILN_STALL_AFTER", default_value = "2min", value_parser = span)]
    pub(crate) stall_after: Duration,

    /// Folder that keeps downloaded inputs and weights [default: limekiln in the system's cache folder; for `limekiln dev` cache in --data]
    #[arg(long, value_name = "DIR", env = "LIMEKILN_CACHE")]
    pub(crate) cache: Option<PathBuf>,

    /// Most that the inputs there may take, in MiB
    #[arg(long, value_name = "MIB", env = "LIMEKILN_CACHE_MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub(crate) cache_mib: u32,

    /// Memory for what earlier edits computed of their pictures, in MiB; a sixteenth of the edits' memory at most
    #[arg(
        long,
        value_name = "MIB",
        env = "LIMEKILN_REUSE_MIB",
        default_value_t = 64
    )]
    pub(crate) reuse_mib: u32,
}
