//! `limekiln tenants`.

use clap::{Args, Subcommand};
use url::Url;

use super::{DatabaseArgs, TelemetryArgs};

/// List, show and erase tenants; say where their pictures may be fetched from
#[derive(Args, Debug)]
pub(crate) struct TenantsArgs {
    #[command(subcommand)]
    pub(crate) command: Tenants,
}

/// The parts of `tenants`.
#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    List(TenantsListArgs),
    Show(TenantsShowArgs),
    Erase(TenantsEraseArgs),
    Allow(TenantsAllowArgs),
    Forbid(TenantsForbidArgs),
}

impl Tenants {
    /// The telemetry arguments of the command that was chosen.
    pub(crate) fn telemetry(&self) -> &TelemetryArgs {
        match self {
            Self::List(args) => &args.telemetry,
            Self::Show(args) => &args.telemetry,
            Self::Erase(args) => &args.telemetry,
            Self::Allow(args) => &args.telemetry,
            Self::Forbid(args) => &args.telemetry,
        }
    }
}

/// List tenants, by name
#[derive(Args, Debug)]
pub(crate) struct TenantsListArgs {
    /// Print one JSON object a tenant
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Show a tenant: its limits, and how much it has
#[derive(Args, Debug)]
pub(crate) struct TenantsShowArgs {
    /// Name of the tenant
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Erase a tenant and all it has: keys, images, edits, results, sessions, webhooks
///
/// Says how much that is and asks for the name once more. Then its keys are revoked, its edits are cancelled, and the
/// coordinators of the running fleet delete everything in batches, its files included. This command only waits for them: killed
/// or stopped, it changes nothing about that, and run again it goes on waiting. There is no way back.
///
/// What the tenant used stays in sums over all tenants that were erased, by day and without a name. Backups keep what they have.
#[derive(Args, Debug)]
pub(crate) struct TenantsEraseArgs {
    /// Name of the tenant
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,

    /// Return once it has begun, and leave the rest to the coordinators
    #[arg(long)]
    pub(crate) no_wait: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Allow pictures of a tenant's catalogs to be fetched from a place
///
/// Gateways fetch what rows name by an address in that place, from the public internet only, whatever is allowed. The same place again
/// replaces what was said of it. `limekiln tenants show` lists the places.
#[derive(Args, Debug)]
pub(crate) struct TenantsAllowArgs {
    /// Name of the tenant
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What the addresses begin with: https://cdn.example/photos/, or s3://bucket/photos/
    #[arg(value_name = "PLACE")]
    pub(crate) place: String,

    /// Of a bucket: its S3 server [default: Amazon's]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<Url>,

    /// Of a bucket: its region [default: us-east-1]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Of a bucket: an access key that may read there and nothing else
    #[arg(long, value_name = "KEY")]
    pub(crate) access_key: Option<String>,

    /// The access key's secret; better in the environment than on a command line that others see
    #[arg(
        long,
        value_name = "SECRET",
        env = "LIMEKILN_SOURCE_SECRET",
        hide_env_values = true
    )]
    pub(crate) secret_key: Option<String>,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Allow pictures to be fetched from a place no more
#[derive(Args, Debug)]
pub(crate) struct TenantsForbidArgs {
    /// Name of the tenant
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The place, as `limekiln tenants show` lists it
    #[arg(value_name = "PLACE")]
    pub(crate) place: String,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
