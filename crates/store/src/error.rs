//! The crate's error. Retries look at [`Error::kind`] alone.

/// Result with the store's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The connection, a timeout, a deadlock or a restart: try again, with backoff.
    Transient,
    /// The caller asked for something that cannot be.
    Request,
    /// The database is not as this program needs it (schema, permissions): an operator has to act.
    Setup,
    /// A defect: a statement or a row that this program does not understand.
    Internal,
}

/// What can go wrong between the program and its database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Any error of the driver or the server.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
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
    /// The server is too old.
    #[error("the server is PostgreSQL {found}; 14 or newer is needed")]
    ServerOld {
        /// What the server says it is.
        found: String,
    },
    /// A tenant of this name exists.
    #[error("there is a tenant named {0} already: choose another name")]
    NameTaken(String),
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NoTenant,
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

impl Error {
    /// Whether trying again can help.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => database_kind(error),
            Self::Timeout { .. } => Kind::Transient,
            Self::Migrate(sqlx::migrate::MigrateError::Execute(error)) => database_kind(error),
            Self::Url(_)
            | Self::SchemaOld { .. }
            | Self::Migrate(_)
            | Self::ServerOld { .. }
            | Self::Embedded(_) => Kind::Setup,
            Self::NameTaken(_) | Self::NoTenant | Self::Invalid { .. } => Kind::Request,
            Self::Row { .. } | Self::Random(_) => Kind::Internal,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        self.kind() == Kind::Transient
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

fn database_kind(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        // What a connection that is cut in the middle of an answer looks like.
        | sqlx::Error::Protocol(_) => Kind::Transient,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some(code) => sqlstate_kind(code),
            None => Kind::Internal,
        },
        sqlx::Error::Configuration(_) => Kind::Setup,
        _ => Kind::Internal,
    }
}

/// Classes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn sqlstate_kind(code: &str) -> Kind {
    match code {
        // Lock not available, object in use, serialization, deadlock, statement completion unknown.
        "55P03" | "55006" | "40001" | "40P01" | "40003" => Kind::Transient,
        // Statement or transaction cut short by a timeout.
        "57014" | "25P03" | "25P04" => Kind::Transient,
        // An image or a parent that was pruned between the look and the insert: the next look will not find it.
        "23503" => Kind::Transient,
        // Wrong password, no such role or database, no permission, table or column missing, read-only server.
        "42501" | "42P01" | "42703" | "42883" | "3D000" | "3F000" => Kind::Setup,
        // A server that has just become a replica.
        "25006" => Kind::Transient,
        // Value out of range, text the encoding does not have, datetime overflow.
        _ if code.starts_with("22") => Kind::Request,
        // Connection; out of memory, disk or connections; operator intervention (shutdown, crash); system error.
        _ if code.starts_with("08")
            || code.starts_with("53")
            || code.starts_with("57P")
            || code.starts_with("58") =>
        {
            Kind::Transient
        }
        _ if code.starts_with("28") => Kind::Setup,
        _ => Kind::Internal,
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
            assert_eq!(sqlstate_kind(code), Kind::Transient, "{code}");
        }
        for code in ["28P01", "42P01", "3D000"] {
            assert_eq!(sqlstate_kind(code), Kind::Setup, "{code}");
        }
        assert_eq!(sqlstate_kind("23514"), Kind::Internal);
        assert_eq!(sqlstate_kind("22021"), Kind::Request);
        assert!(Error::from(sqlx::Error::PoolTimedOut).is_transient());
    }
}
