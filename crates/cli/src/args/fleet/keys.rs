//! `limekiln keys`.

use std::time::Duration;

use clap::{Args, Subcommand};
use limekiln_store::Limits;
use uuid::Uuid;

use super::services::span;
use super::{DatabaseArgs, TelemetryArgs};
use crate::args::number::{self, Bytes};

/// Make, list and revoke API keys; set the limits of tenants; show and replace the secrets of their webhooks
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
    Limits(LimitsArgs),
    WebhookSecret(WebhookSecretArgs),
}

impl Keys {
    /// The telemetry arguments of the command that was chosen.
    pub(crate) fn telemetry(&self) -> &TelemetryArgs {
        match self {
            Self::Create(args) => &args.telemetry,
            Self::List(args) => &args.telemetry,
            Self::Revoke(args) => &args.telemetry,
            Self::Limits(args) => &args.telemetry,
            Self::WebhookSecret(args) => &args.telemetry,
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

    /// How long the key works, such as 90d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) expires: Option<Duration>,

    /// Print key, id and tenant as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) limits: TenantLimitsArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Show a tenant's limits and what it has used of them, after setting those that are given
///
/// Gateways follow within seconds.
#[derive(Args, Debug)]
pub(crate) struct LimitsArgs {
    /// Name of the tenant
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: String,

    /// Print limits and use as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) limits: TenantLimitsArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Limits of a tenant. Those that are not given stay as they are.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct TenantLimitsArgs {
    /// Edits a second that the tenant may submit [default: 20]
    #[arg(long, value_name = "N", value_parser = number::rate)]
    pub(crate) rate: Option<f64>,

    /// Edits that the tenant may submit at once before --rate limits them [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) burst: Option<u32>,

    /// Edits that the tenant may have queued and running at a time [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) in_flight: Option<u32>,

    /// Requests a second of each key, at each gateway [default: 200]
    #[arg(long, value_name = "N", value_parser = number::rate)]
    pub(crate) requests: Option<f64>,

    /// Requests of each key at once before --requests limits them [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) requests_burst: Option<u32>,

    /// New pictures that the tenant may upload on a day (UTC), such as 10GiB or unlimited [default: unlimited]
    #[arg(long, value_name = "BYTES", value_parser = number::bytes)]
    pub(crate) uploads: Option<Bytes>,

    /// Pictures and results that the tenant may have stored, such as 100GiB or unlimited [default: unlimited]
    #[arg(long, value_name = "BYTES", value_parser = number::bytes)]
    pub(crate) storage: Option<Bytes>,

    /// Attempts that an edit may have at most; a request for more gets these [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10))]
    pub(crate) attempts: Option<u16>,
}

impl TenantLimitsArgs {
    /// These limits, with those that were given in their place.
    pub(crate) fn over(&self, limits: &Limits) -> Limits {
        Limits {
            rate_per_second: self.rate.unwrap_or(limits.rate_per_second),
            rate_burst: self.burst.unwrap_or(limits.rate_burst),
            in_flight: self.in_flight.unwrap_or(limits.in_flight),
            requests_per_second: self.requests.unwrap_or(limits.requests_per_second),
            requests_burst: self.requests_burst.unwrap_or(limits.requests_burst),
            upload_bytes_daily: self
                .uploads
                .map_or(limits.upload_bytes_daily, |bytes| bytes.0),
            stored_bytes: self.storage.map_or(limits.stored_bytes, |bytes| bytes.0),
            attempts: self.attempts.unwrap_or(limits.attempts),
        }
    }
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

/// Show the secret that a tenant's webhooks are signed with, or replace it
///
/// Prints the secret on stdout; on a second line the one before and the time until which it signs too, if there is one.
#[derive(Args, Debug)]
pub(crate) struct WebhookSecretArgs {
    /// Name of the tenant
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: String,

    /// Replace the secret first
    #[arg(long)]
    pub(crate) rotate: bool,

    /// Hours for which webhooks are signed with the secret before as well; 0 ends all before at once
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(..=168), requires = "rotate")]
    pub(crate) overlap_hours: u32,

    /// Print the secrets as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
