//! `limekiln migrate`.

use clap::Args;

use super::{DatabaseArgs, S3Args, TelemetryArgs};

/// Make or upgrade the tables in Postgres; say whose the bucket is, and what may be deleted from it
///
/// Safe to run at any time and from several places at once: it takes a lock, and does nothing when the tables are up
/// to date. Upgrades expand first, so that commands of the version before keep working: run it before the new version.
/// A step that needs a table for itself waits two seconds for it, lets the fleet go on and tries again, for a quarter of
/// an hour at most; the log names the session that is in its way.
#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// Take a bucket that holds pictures and has no marker of a fleet yet, once the database turns out to know them; does
    /// nothing when the bucket is this fleet's already
    #[arg(long)]
    pub(crate) adopt_bucket: bool,

    /// The database was restored from a backup and is the truth from now on: blobs that it does not know may be deleted again
    #[arg(long)]
    pub(crate) accept_restore: bool,

    /// What looks like orphans now may be deleted, however much of the bucket it is; also with --adopt-bucket
    #[arg(long)]
    pub(crate) accept_orphans: bool,

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
    pub(crate) s3: S3Args,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
