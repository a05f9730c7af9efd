//! The handle: settings, pool, what the server is.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use limekiln_jobs::retry::Policy;
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use time::OffsetDateTime;
use tokio::time::sleep;

use crate::conn::Conn;
use crate::error::{Error, Result};
use crate::pooler;

/// The steps of the schema: version, name, statements, each the file `migrations/{version}_{name}.sql`. sqlx has a macro for
/// that, which compiles sqlx, tokio and rustls a second time, for the compiler.
pub(crate) const MIGRATIONS: [(i64, &str, &str); 36] = [
    (
        1,
        "fleet",
        include_str!("../../../migrations/0001_fleet.sql"),
    ),
    (
        2,
        "history",
        include_str!("../../../migrations/0002_history.sql"),
    ),
    (
        3,
        "sweep",
        include_str!("../../../migrations/0003_sweep.sql"),
    ),
    (
        4,
        "webhooks",
        include_str!("../../../migrations/0004_webhooks.sql"),
    ),
    (
        5,
        "needs",
        include_str!("../../../migrations/0005_needs.sql"),
    ),
    (
        6,
        "bounds",
        include_str!("../../../migrations/0006_bounds.sql"),
    ),
    (
        7,
        "limits",
        include_str!("../../../migrations/0007_limits.sql"),
    ),
    (
        8,
        "erase",
        include_str!("../../../migrations/0008_erase.sql"),
    ),
    (
        9,
        "tenants",
        include_str!("../../../migrations/0009_tenants.sql"),
    ),
    (
        10,
        "walks",
        include_str!("../../../migrations/0010_walks.sql"),
    ),
    (
        11,
        "matte",
        include_str!("../../../migrations/0011_matte.sql"),
    ),
    (
        12,
        "fair",
        include_str!("../../../migrations/0012_fair.sql"),
    ),
    (
        13,
        "charge",
        include_str!("../../../migrations/0013_charge.sql"),
    ),
    (
        14,
        "lines",
        include_str!("../../../migrations/0014_lines.sql"),
    ),
    (
        15,
        "turns",
        include_str!("../../../migrations/0015_turns.sql"),
    ),
    (
        16,
        "months",
        include_str!("../../../migrations/0016_months.sql"),
    ),
    (
        17,
        "ages",
        include_str!("../../../migrations/0017_ages.sql"),
    ),
    (
        22,
        "sessions",
        include_str!("../../../migrations/0022_sessions.sql"),
    ),
    (
        23,
        "session_trees",
        include_str!("../../../migrations/0023_session_trees.sql"),
    ),
    (
        24,
        "located",
        include_str!("../../../migrations/0024_located.sql"),
    ),
    (
        25,
        "intermediates",
        include_str!("../../../migrations/0025_intermediates.sql"),
    ),
    (
        26,
        "intermediates_gone",
        include_str!("../../../migrations/0026_intermediates_gone.sql"),
    ),
    (
        28,
        "segmentations",
        include_str!("../../../migrations/0028_segmentations.sql"),
    ),
    (
        29,
        "layers",
        include_str!("../../../migrations/0029_layers.sql"),
    ),
    (
        32,
        "catalogs",
        include_str!("../../../migrations/0032_catalogs.sql"),
    ),
    (
        40,
        "sign_ins",
        include_str!("../../../migrations/0040_sign_ins.sql"),
    ),
    (
        41,
        "lines_unlogged",
        include_str!("../../../migrations/0041_lines_unlogged.sql"),
    ),
    (
        44,
        "catalog_objects",
        include_str!("../../../migrations/0044_catalog_objects.sql"),
    ),
    (
        45,
        "catalog_webhooks",
        include_str!("../../../migrations/0045_catalog_webhooks.sql"),
    ),
    (
        46,
        "catalog_ages",
        include_str!("../../../migrations/0046_catalog_ages.sql"),
    ),
    (
        47,
        "catalog_masks",
        include_str!("../../../migrations/0047_catalog_masks.sql"),
    ),
    (
        50,
        "worker_network",
        include_str!("../../../migrations/0050_worker_network.sql"),
    ),
    (
        53,
        "files",
        include_str!("../../../migrations/0053_files.sql"),
    ),
    (
        54,
        "sources",
        include_str!("../../../migrations/0054_sources.sql"),
    ),
    (
        55,
        "catalog_pictures",
        include_str!("../../../migrations/0055_catalog_pictures.sql"),
    ),
    (
        56,
        "catalog_steps",
        include_str!("../../../migrations/0056_catalog_steps.sql"),
    ),
];

/// A server that hangs up on a new connection before it was asked anything, as the embedded one was seen to.
const HUNG_UP: Policy = Policy::new(Duration::from_millis(20), Duration::from_millis(100)).tries(5);

/// The oldest major version that has all the statements need.
const OLDEST: i32 = 14;

/// What every connection is told first.
///
/// All statements are written for the indexes, batches join by nested loops from a short list of ids, and the lists come
/// sorted, so that rows are locked in the order of their ids; a bitmap of them would be read, and locked, in the order in which
/// the rows lie in the table. The planner is kept from anything else: right after start or a
/// bulk load its statistics are wrong, and one plan made for an empty table would be kept for a full one. Generic plans spare
/// the planning, which is otherwise dearer than the statement.
pub(crate) const SESSION: &str = "
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set enable_bitmapscan = off;
    set jit = off;
    set plan_cache_mode = force_generic_plan;
    set statement_timeout = '20s';
    set lock_timeout = '10s';
    set idle_in_transaction_session_timeout = '5s';
    set timezone = 'UTC'";

/// How to reach the database.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user:password@host:5432/database`.
    pub url: String,
    /// Most connections held at once. With one, as the embedded database needs it, that one is never given up.
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
        Self {
            url: url.into(),
            connections: 8,
            acquire_timeout: Duration::from_secs(5),
        }
    }
}

/// The database. Cheap to clone; all clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    single: bool,
    /// By so many microseconds the server's clock is ahead of this machine's.
    ahead_us: Arc<AtomicI64>,
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
    /// An unreadable URL, an unreachable or too old server, a pooler that shares sessions.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        if !settings.url.starts_with("postgres://") && !settings.url.starts_with("postgresql://") {
            return Err(Error::Url("it does not begin with postgres://".to_owned()));
        }
        let options = PgConnectOptions::from_str(&settings.url)
            .map_err(|error| Error::Url(error.to_string()))?
            .application_name("limekiln")
            // PgBouncer as it is installed refuses a client that sends it, and numbers come in binary.
            .extra_float_digits(None);
        let single = settings.connections <= 1;
        let mut pool = PgPoolOptions::new()
            .max_connections(settings.connections.max(1))
            .acquire_timeout(settings.acquire_timeout)
            .after_connect(|conn, _| {
                Box::pin(async move { conn.execute(sqlx::raw_sql(SESSION)).await.map(drop) })
            });
        if single {
            // The embedded database starts a backend for every connection.
            pool = pool.idle_timeout(None).max_lifetime(None);
        }
        let pool = pool.connect_with(options).await?;
        if !single {
            pooler::check(&pool).await?;
        }
        let store = Self {
            pool,
            single,
            ahead_us: Arc::default(),
        };
        let (version, now): (i32, OffsetDateTime) = store
            .value_row(
                "server",
                sqlx::query_as(
                    "select current_setting('server_version_num')::int, clock_timestamp()",
                ),
            )
            .await?;
        store.clock_set(now);
        if version / 10_000 < OLDEST {
            return Err(Error::ServerOld {
                found: (version / 10_000).to_string(),
            });
        }
        Ok(store)
    }

    /// Fails when the schema is older than this program needs. A newer one is fine: migrations expand first.
    pub async fn schema_check(&self) -> Result<()> {
        let found = self.schema_found().await?;
        let needed = schema_needed();
        if found < needed {
            return Err(Error::SchemaOld { found, needed });
        }
        Ok(())
    }

    async fn schema_found(&self) -> Result<i64> {
        let there: bool = self
            .value(
                "schema",
                sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null"),
            )
            .await?;
        if !there {
            return Ok(0);
        }
        self.value(
            "schema",
            sqlx::query_scalar(
                "select coalesce(max(version), 0) from _sqlx_migrations where success",
            ),
        )
        .await
    }

    /// One round trip, for readiness.
    pub async fn ping(&self) -> Result<()> {
        let now = self
            .value("ping", sqlx::query_scalar("select clock_timestamp()"))
            .await?;
        self.clock_set(now);
        Ok(())
    }

    /// The time by the server's clock, as far as it is known here: it was read when the store connected, and with every ping and
    /// every sign of life of a worker. Rows and what goes beside them have one clock, whatever the machines' clocks say.
    pub fn clock(&self) -> OffsetDateTime {
        let ahead = time::Duration::microseconds(self.ahead_us.load(Ordering::Relaxed));
        let here = OffsetDateTime::now_utc();
        here.checked_add(ahead).unwrap_or(here)
    }

    pub(crate) fn clock_set(&self, now: OffsetDateTime) {
        let ahead = (now - OffsetDateTime::now_utc()).whole_microseconds();
        self.ahead_us
            .store(i64::try_from(ahead).unwrap_or(0), Ordering::Relaxed);
    }

    /// The server's clock.
    pub async fn now(&self) -> Result<OffsetDateTime> {
        self.value("now", sqlx::query_scalar("select clock_timestamp()"))
            .await
    }

    /// What the server is.
    pub async fn server(&self) -> Result<Server> {
        let row: (String, bool, String, i32) = self
            .value_row(
                "server",
                sqlx::query_as(
                    "select current_setting('server_version'), has_schema_privilege(current_schema(), 'create'),
                        current_setting('synchronous_commit'), current_setting('max_connections')::int",
                ),
            )
            .await?;
        Ok(Server {
            version: row.0,
            schema: self.schema_found().await?,
            schema_needed: schema_needed(),
            may_migrate: row.1,
            synchronous_commit: row.2,
            max_connections: row.3.unsigned_abs(),
        })
    }

    /// Closes the pool and waits until its connections are closed.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Whether the database has one connection for all, as the embedded one does.
    pub(crate) fn is_single(&self) -> bool {
        self.single
    }

    pub(crate) async fn conn(&self) -> Result<Conn> {
        let mut backoff = HUNG_UP.start();
        loop {
            let error = match self.pool.acquire().await {
                Ok(conn) => return Ok(Conn::new(conn, self.single)),
                Err(error) => error,
            };
            // Nothing was asked of it yet. The pool itself tries again only when a connection is refused.
            let hung_up = matches!(&error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset);
            let error = Error::from(error);
            match backoff.after(&error).filter(|_| hung_up) {
                Some(delay) => sleep(delay).await,
                None => return Err(error),
            }
        }
    }
}

fn schema_needed() -> i64 {
    let versions = MIGRATIONS.iter().map(|(version, ..)| *version);
    versions.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn every_migration_is_in_the_binary() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        files.sort();
        assert_eq!(
            files,
            MIGRATIONS.map(|(version, name, _)| format!("{version:04}_{name}.sql"))
        );
    }
}
