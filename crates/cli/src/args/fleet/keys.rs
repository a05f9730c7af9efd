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

/// The parts of `keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

impl Keys {
    /// The telemetry arguments of the command that was chosen.
    pub(crate) fn telemetry(&self) -> &TelemetryArgs {
        match self {
            Self::Create(args) => &args.telemetry,
            Self::List(args) => &args.telemetry,
            Self::Revoke(args) => &args.telemetry,
        }
    }
}

/// Make a key, and its tenant if there is none of that name
///
/// Prints the key on stdout, once: only its hash is kept. Limits, when given, replace those of the tenant.
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Name of the tenant that the key belongs to
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: String,

    /// Let the key use the admin routes too
    #[arg(long)]
    pub(crate) admin: bool,

    /// Note on what the key is for, shown by `limekiln keys list`
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) label: String,

    /// Edits a second that the tenant may submit [default: 20]
    #[arg(long, value_name = "N", value_parser = crate::args::number::rate)]
    pub(crate) rate: Option<f64>,

    /// Edits that the tenant may submit at once before --rate limits them [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) burst: Option<u32>,

    /// Edits that the tenant may have queued and running at a time [default: 1000]
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
    /// List only the keys of this tenant
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,

    /// Print one JSON object a key
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
