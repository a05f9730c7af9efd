//! The arguments of the fleet's commands.

mod coordinate;
#[cfg(feature = "embedded")]
mod dev;
mod doctor;
mod drain;
mod keys;
mod queue;
mod serve;
mod services;
mod submit;
mod telemetry;
mod tenants;
mod work;

pub(crate) use coordinate::{CoordinateArgs, RetentionArgs};
#[cfg(feature = "embedded")]
pub(crate) use dev::DevArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use drain::DrainArgs;
pub(crate) use keys::{
    CreateArgs, Keys, KeysArgs, LimitsArgs, ListArgs, RevokeArgs, TenantLimitsArgs,
    WebhookSecretArgs,
};
pub(crate) use queue::QueueArgs;
pub(crate) use serve::{ApiArgs, Downloads, ServeArgs};
pub(crate) use services::{DatabaseArgs, S3Args, ServicesArgs};
pub(crate) use submit::SubmitArgs;
pub(crate) use telemetry::{LogFormat, StatusArgs, TelemetryArgs};
pub(crate) use tenants::{
    Tenants, TenantsArgs, TenantsEraseArgs, TenantsListArgs, TenantsShowArgs,
};
pub(crate) use work::{EditorArg, EditorArgs, LeaseArgs, WorkArgs};

use clap::Args;

/// Make or upgrade the tables in Postgres
///
/// Safe to run at any time and from several places at once: it takes a lock, and does nothing when the tables are up
/// to date. Upgrades expand first, so that commands of the version before keep working: run it before the new version.
/// A step that needs a table for itself waits two seconds for it, lets the fleet go on and tries again, for a quarter of
/// an hour at most; the log names the session that is in its way.
#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// Give each component a role of its own: PREFIX_gateway, PREFIX_coordinator and PREFIX_worker
    ///
    /// Roles that are missing are created, unless this role may not; then have them made first. Each gets the rights that its
    /// statements need: none changes tables, and a worker reads neither keys nor secrets of webhooks. Later migrations know it
    /// and grant what is new. Afterwards set their passwords (`alter role limekiln_worker login password '...'`), or grant
    /// the roles to users that log in. `keys`, `tenants` and `migrate` need the role that migrates.
    #[arg(long, value_name = "PREFIX", num_args = 0..=1, default_missing_value = "limekiln")]
    pub(crate) roles: Option<String>,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
