//! `limekiln doctor`.

use clap::Args;

use super::{ServicesArgs, TelemetryArgs};
use crate::args::ModelArgs;

/// Check everything that a process depends on, and say what to do
///
/// Postgres (reachable, version, rights, tables), RabbitMQ (reachable, version, rights, queues, policies), S3
/// (reachable, a probe written, read and deleted), the model (opens, makes an edit), the GPU. Exits with 1 when
/// something is wrong. Services that are not named are not checked.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Compare the rows in Postgres with the blobs in the bucket, and check nothing else: reads only, counts rows without
    /// blobs and blobs without rows, and lists the first 100 of each
    #[arg(long)]
    pub(crate) blobs: bool,

    /// Do not open the model
    #[arg(long)]
    pub(crate) no_model: bool,

    #[command(flatten)]
    pub(crate) services: ServicesArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
