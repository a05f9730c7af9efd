//! `limekiln coordinate`.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::services::span;
use super::{ServicesArgs, StatusArgs, TelemetryArgs};

/// Run a coordinator: releases edits to workers, rescues and retries them, prunes old data, delivers webhooks
///
/// Needs Postgres, RabbitMQ and S3. One is enough; two or more share the work and survive the loss of one.
#[derive(Args, Debug)]
pub(crate) struct CoordinateArgs {
    #[command(flatten)]
    pub(crate) sharing: SharingArgs,
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
    #[command(flatten)]
    pub(crate) services: ServicesArgs,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// How interactive edits and bulk share the workers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sharing")]
pub(crate) struct SharingArgs {
    /// How long bulk waits before some of it goes with the interactive edits, an eighth of the slots at a time
    #[arg(long, value_name = "TIME", env = "LIMEKILN_BULK_WAIT", default_value = "10m", value_parser = span)]
    pub(crate) bulk_wait: Duration,

    /// How often a running bulk edit gives its slot to an interactive one, from a checkpoint, where all workers are busy; 0: never
    #[arg(
        long,
        value_name = "N",
        env = "LIMEKILN_STEP_ASIDE",
        default_value_t = 3
    )]
    pub(crate) step_aside: u16,
}

/// What is kept, and for how long. Nothing is deleted that a live session needs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Retention")]
pub(crate) struct RetentionArgs {
    /// How long to keep events after the end of their month, where all edits of the month have ended
    #[arg(long, value_name = "AGE", env = "LIMEKILN_KEEP_EVENTS", default_value = "7d", value_parser = span)]
    pub(crate) keep_events: Duration,

    /// How long to keep the checkpoints of ended edits
    #[arg(long, value_name = "AGE", env = "LIMEKILN_KEEP_CHECKPOINTS", default_value = "1h", value_parser = span)]
    pub(crate) keep_checkpoints: Duration,

    /// How long to keep ended edits and their results, or `forever`
    #[arg(
        long,
        value_name = "AGE",
        env = "LIMEKILN_KEEP_EDITS",
        default_value = "30d"
    )]
    pub(crate) keep_edits: Age,

    /// How long to keep a catalog after its end, or after the last decision on its rows, or `forever`
    #[arg(
        long,
        value_name = "AGE",
        env = "LIMEKILN_KEEP_CATALOGS",
        default_value = "30d"
    )]
    pub(crate) keep_catalogs: Age,

    /// How long to keep a session after its last turn, with all its turns, or `forever`
    #[arg(
        long,
        value_name = "AGE",
        env = "LIMEKILN_KEEP_SESSIONS",
        default_value = "30d"
    )]
    pub(crate) keep_sessions: Age,

    /// How long to keep images after an edit last used them, or `forever`
    #[arg(
        long,
        value_name = "AGE",
        env = "LIMEKILN_KEEP_IMAGES",
        default_value = "30d"
    )]
    pub(crate) keep_images: Age,

    /// Most that each tenant's edits may keep of what they computed of their pictures, in MiB; what was used longest ago goes first
    #[arg(
        long,
        value_name = "MIB",
        env = "LIMEKILN_KEEP_INTERMEDIATES_MIB",
        default_value_t = 1024
    )]
    pub(crate) keep_intermediates_mib: u32,

    /// How often to walk through the bucket for blobs that no row refers to
    #[arg(long, value_name = "TIME", env = "LIMEKILN_SWEEP_EVERY", default_value = "6h", value_parser = span)]
    pub(crate) sweep_every: Duration,

    /// Delete such a blob when it was one on two walks this far apart, a minute or more
    #[arg(long, value_name = "TIME", env = "LIMEKILN_SWEEP_GRACE", default_value = "1d", value_parser = span)]
    pub(crate) sweep_grace: Duration,

    /// Deliver webhooks to private and loopback addresses too
    #[arg(long, env = "LIMEKILN_WEBHOOKS_PRIVATE")]
    pub(crate) webhooks_private: bool,
}

/// A length of time, or none for `forever`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age(pub(crate) Option<Duration>);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "forever" => Ok(Self(None)),
            text => span(text).map(|age| Self(Some(age))),
        }
    }
}
