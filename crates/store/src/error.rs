//! The crate's error, and which kind of error each SQLSTATE is.

use limekiln_jobs::{ErrorKind, Retryable};

/// Result with the store's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between the program and its database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Any error of the driver or the server.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
    /// The server has no disk space left.
    #[error("Postgres has no disk space left: {0}; give it room")]
    DiskFull(#[source] sqlx::Error),
    /// No answer came in time.
    #[error("the database did not answer within {after_s} s")]
    Timeout {
        /// How long was waited, in seconds.
        after_s: u64,
    },
    /// The connection URL cannot be read.
    #[error(
        "the database URL cannot be read ({0}): write it as postgres://user:password@host:5432/database"
    )]
    Url(String),
    /// The schema is older than this program.
    #[error(
        "the database's schema is at version {found}, this program needs {needed}: run `limekiln migrate`"
    )]
    SchemaOld {
        /// Newest migration that was applied; 0 when none was.
        found: i64,
        /// Newest migration this program knows.
        needed: i64,
    },
    /// A migration failed.
    #[error("migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A migration could not get at its table.
    #[error(
        "migration {migration} waits for a lock that {by} holds: end that session, then run `limekiln migrate` again"
    )]
    MigrationBlocked {
        /// Version and name of the migration.
        migration: String,
        /// Who holds what it needs.
        by: String,
    },
    /// The server is too old.
    #[error("the server is PostgreSQL {found}; 14 or newer is needed")]
    ServerOld {
        /// What the server says it is.
        found: String,
    },
    /// A pooler gives one session to several clients.
    #[error(
        "what answers for Postgres lends its sessions to several clients, as PgBouncer does in transaction mode, and cannot be used: set `pool_mode = session` for this database, or name Postgres itself"
    )]
    SessionsShared,
    /// A tenant of this name exists.
    #[error("there is a tenant named {0} already: choose another name")]
    NameTaken(String),
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NoTenant,
    /// The blob is about to be deleted, so no row may refer to it.
    #[error("the blob {0} is being deleted: put it under another key")]
    BlobGoing(String),
    /// A component's role is missing, and this one may not create it.
    #[error(
        "there is no role {0} and this one may not create roles: have it made (`create role {0} login password '...'`), then run this again"
    )]
    Role(String),
    /// A value the database would refuse.
    #[error("{field}: {message}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// A row that this program cannot read.
    #[error("{what}: a row this program cannot read: {detail}")]
    Row {
        /// Which column.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The embedded Postgres does not start or stop.
    #[error("embedded database: {0}")]
    Embedded(String),
}

impl Retryable for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Database(error) => database_kind(error),
            Self::Timeout { .. } | Self::DiskFull(_) => ErrorKind::Transient,
            Self::Migrate(
                sqlx::migrate::MigrateError::Execute(error)
                | sqlx::migrate::MigrateError::ExecuteMigration(error, _),
            ) => database_kind(error),
            Self::Url(_)
            | Self::SchemaOld { .. }
            | Self::MigrationBlocked { .. }
            | Self::Migrate(_)
            | Self::ServerOld { .. }
            | Self::SessionsShared
            | Self::Role(_)
            | Self::Embedded(_) => ErrorKind::Setup,
            Self::NameTaken(_) | Self::NoTenant | Self::BlobGoing(_) | Self::Invalid { .. } => {
                ErrorKind::Request
            }
            Self::Row { .. } | Self::Random(_) => ErrorKind::Internal,
        }
    }

    fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        if code.as_deref() == Some(DISK_FULL) {
            metrics::counter!("limekiln_disk_full_total", "service" => "postgres").increment(1);
            return Self::DiskFull(error);
        }
        Self::Database(error)
    }
}

/// The SQLSTATE of a full disk.
const DISK_FULL: &str = "53100";

fn database_kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        // What a connection that is cut in the middle of an answer looks like.
        | sqlx::Error::Protocol(_) => ErrorKind::Transient,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some(code) => sqlstate_kind(code),
            None => ErrorKind::Internal,
        },
        sqlx::Error::Configuration(_) => ErrorKind::Setup,
        _ => ErrorKind::Internal,
    }
}

/// Classes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn sqlstate_kind(code: &str) -> ErrorKind {
    match code {
        // Lock not available, object in use, serialization, deadlock, statement completion unknown.
        "55P03" | "55006" | "40001" | "40P01" | "40003" => ErrorKind::Transient,
        // Statement or transaction cut short by a timeout.
        "57014" | "25P03" | "25P04" => ErrorKind::Transient,
        // An image or a parent that was pruned between the look and the insert: the next look will not find it.
        "23503" => ErrorKind::Transient,
        // Wrong password, no such role or database, no permission, table or column missing, read-only server.
        "42501" | "42P01" | "42703" | "42883" | "3D000" | "3F000" => ErrorKind::Setup,
        // A server that has just become a replica; a statement prepared before a migration added a column.
        "25006" | "0A000" => ErrorKind::Transient,
        // Value out of range, text the encoding does not have, datetime overflow.
        _ if code.starts_with("22") => ErrorKind::Request,
        // Connection; out of memory, disk or connections; operator intervention (shutdown, crash); system error.
        _ if code.starts_with("08")
            || code.starts_with("53")
            || code.starts_with("57P")
            || code.starts_with("58") =>
        {
            ErrorKind::Transient
        }
        _ if code.starts_with("28") => ErrorKind::Setup,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_server_errors() {
        for code in [
            "08006", "40P01", "40001", "57P01", "57P03", "53300", "58030", "57014",
        ] {
            assert_eq!(sqlstate_kind(code), ErrorKind::Transient, "{code}");
        }
        for code in ["28P01", "42P01", "3D000"] {
            assert_eq!(sqlstate_kind(code), ErrorKind::Setup, "{code}");
        }
        assert_eq!(sqlstate_kind("23514"), ErrorKind::Internal);
        assert_eq!(sqlstate_kind("22021"), ErrorKind::Request);
        assert!(Error::from(sqlx::Error::PoolTimedOut).is_transient());
    }
}
