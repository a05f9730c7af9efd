//! `limekiln keys`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{DatabaseArgs, TelemetryArgs};

/// Make, list and revoke API keys
#[derive(Args, Debug)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: Keys,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

impl Keys {
    /// Logs of whichever it is.
    pub(crate) fn telemetry(&self) -> &TelemetryArgs {
        match self {
            Self::Create(args) => &args.telemetry,
            Self::List(args) => &args.telemetry,
            Self::Revoke(args) => &args.telemetry,
        }
    }
}

/// Make a key, and its tenant when there is none of that name
///
/// Prints the key on stdout, once: only its hash is kept. Limits, when given, replace those of the tenant.
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Whose key it is
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: String,

    /// A key for the admin routes, too
    #[arg(long)]
    pub(crate) admin: bool,

    /// What the key is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) label: String,

    /// Edits a second that the tenant may submit [default: 20]
    #[arg(long, value_name = "N", value_parser = crate::args::number::rate)]
    pub(crate) rate: Option<f64>,

    /// Edits that it may submit at once before --rate counts [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) burst: Option<u32>,

    /// Edits that it may have queued and running [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) in_flight: Option<u32>,

    /// Print key, id and tenant as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// List keys (never their secrets)
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only this tenant's
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,

    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Revoke a key: it stops working at once
#[derive(Args, Debug)]
pub(crate) struct RevokeArgs {
    /// The key's id, as `limekiln keys list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: Uuid,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
