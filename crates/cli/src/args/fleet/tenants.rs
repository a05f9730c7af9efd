//! `limekiln tenants`.

use clap::{Args, Subcommand};

use super::{DatabaseArgs, TelemetryArgs};

/// List, show and erase tenants
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
}

impl Tenants {
    /// The telemetry arguments of the command that was chosen.
    pub(crate) fn telemetry(&self) -> &TelemetryArgs {
        match self {
            Self::List(args) => &args.telemetry,
            Self::Show(args) => &args.telemetry,
            Self::Erase(args) => &args.telemetry,
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
