//! The handle: settings, pool, migrations.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgPool;

use crate::error::Result;

/// How to reach the database.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user:password@host:5432/database`.
    pub url: String,
    /// Most connections held at once.
    pub connections: u32,
    /// Longest wait for a free connection, connecting included.
    pub acquire_timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &"(redacted)")
            .field("connections", &self.connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .finish()
    }
}

impl Settings {
    /// Eight connections, five seconds.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), connections: 8, acquire_timeout: Duration::from_secs(5) }
    }
}

/// The database. Cheap to clone; all clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: PgPool,
}

/// What `limekiln doctor` shows of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Such as `15.8`.
    pub version: String,
    /// Newest migration that was applied; 0 when none was.
    pub schema: i64,
    /// Newest migration this program knows.
    pub schema_needed: i64,
    /// Whether this role may create tables, as `limekiln migrate` has to.
    pub may_migrate: bool,
    /// The server's `synchronous_commit`.
    pub synchronous_commit: String,
    /// The server's `max_connections`.
    pub max_connections: u32,
}

impl Store {
    /// Connects, with one connection to begin with.
    ///
    /// # Errors
    /// An unreadable URL, an unreachable or too old server.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let _ = settings;
        todo!()
    }

    /// Brings the schema up to date; does nothing when it is. Safe to run from several processes at once.
    pub async fn migrate(&self) -> Result<()> {
        todo!()
    }

    /// Fails when the schema is older than this program needs. A newer one is fine: migrations expand first.
    pub async fn schema_check(&self) -> Result<()> {
        todo!()
    }

    /// One round trip, for readiness.
    pub async fn ping(&self) -> Result<()> {
        todo!()
    }

    /// What the server is.
    pub async fn server(&self) -> Result<Server> {
        todo!()
    }

    /// Closes the pool and waits until its connections are closed.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
