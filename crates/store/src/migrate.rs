//! The schema, brought up to date while the fleet runs.
//!
//! A statement that changes a table waits until nobody uses it, and whoever comes after it waits behind it: a forgotten
//! transaction would hold up the fleet for as long as it is open. So no step waits for long. It lets the others go on, waits,
//! and tries again, and says what is in its way.
//!
//! A migration is one transaction, unless its file begins with [`OUTSIDE`]: then it is a list of statements between lines of
//! [`STEP`], each on its own, as `create index concurrently` has to be. They are repeated after a failure, so each must do no
//! harm where it was done before. `src/tests/rules.rs` knows what a migration may do.

use std::time::Duration;

use limekiln_jobs::retry::Policy;
use sqlx::migrate::{AppliedMigration, Migrate as _, MigrateError, Migration, MigrationType};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};
use tokio::time::{Instant, sleep};

use crate::conn::Conn;
use crate::error::{Error, Result};
use crate::store::{MIGRATIONS, SESSION, Store};

/// First line of a migration whose statements are no transaction.
pub(crate) const OUTSIDE: &str = "-- outside a transaction";
/// Line between two of its statements.
pub(crate) const STEP: &str = "-- step";
/// sqlx keeps here what was done, and programs of before ask it.
const TABLE: &str = "_sqlx_migrations";
/// Names the lock of those that bring a schema up to date.
const LOCK: i64 = 7_308_332_002;
/// How long a step holds others up, and how long one that holds up nobody waits.
const BRIEF: &str = "2s";
const LONG: &str = "1min";
/// How long others are let go on before the next try.
const RETRY: Policy = Policy::new(Duration::from_secs(1), Duration::from_secs(15));
/// How often another process is asked whether it is done.
const RETRY_LOCK: Policy = Policy::new(Duration::from_millis(20), Duration::from_millis(500));
/// When a step that waits looks at what is in its way.
const LOOK: Duration = Duration::from_millis(700);
/// How long a step is tried.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

impl Store {
    /// Brings the schema up to date; does nothing when it is. Safe to run from several processes at once, and while a fleet
    /// of an older version works.
    ///
    /// # Errors
    /// [`Error::MigrationBlocked`] when somebody holds a table for a quarter of an hour.
    pub async fn migrate(&self) -> Result<()> {
        self.migrate_within(PATIENCE).await
    }

    pub(crate) async fn migrate_within(&self, patience: Duration) -> Result<()> {
        let steps = MIGRATIONS.map(|(version, name, sql)| {
            let outside = sql.starts_with(OUTSIDE);
            let (name, sql) = (name.into(), sql.into_sql_str());
            Migration::new(version, name, MigrationType::Simple, sql, outside)
        });
        let mut conn = self.conn().await?;
        let settings = "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0";
        conn.get().execute(sqlx::raw_sql(settings)).await?;
        self.apply_all(&mut conn, &steps, patience).await?;
        conn.done();
        Ok(())
    }

    /// Applies what was not applied yet, one process at a time. The connection is afterwards as it was.
    pub(crate) async fn apply_all(
        &self,
        conn: &mut Conn,
        migrations: &[Migration],
        patience: Duration,
    ) -> Result<()> {
        let settings = "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0";
        conn.get().execute(sqlx::raw_sql(settings)).await?;
        let applied = self.apply(conn, migrations, patience).await;
        let unlock = conn
            .get()
            .execute(sqlx::raw_sql("select pg_advisory_unlock_all()"))
            .await;
        let restored = conn.get().execute(sqlx::raw_sql(SESSION)).await;
        applied?;
        unlock?;
        restored?;
        Ok(())
    }

    async fn apply(
        &self,
        conn: &mut Conn,
        migrations: &[Migration],
        patience: Duration,
    ) -> Result<()> {
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(conn.get())
            .await?;
        let patient = Patient {
            store: self,
            pid,
            until: Instant::now() + patience,
        };
        patient.lock(conn).await?;
        conn.get().ensure_migrations_table(TABLE).await?;
        if let Some(version) = conn.get().dirty_version(TABLE).await? {
            return Err(Error::Migrate(MigrateError::Dirty(version)));
        }
        let applied = conn.get().list_applied_migrations(TABLE).await?;
        for migration in migrations {
            let is_this = |applied: &&AppliedMigration| applied.version == migration.version;
            if let Some(applied) = applied.iter().find(is_this) {
                if applied.checksum != migration.checksum {
                    let changed = MigrateError::VersionMismatch(migration.version);
                    return Err(Error::Migrate(changed));
                }
                continue;
            }
            let name = format!("{:04}_{}", migration.version, migration.description);
            if migration.no_tx {
                for statement in migration.sql.as_str().split(&format!("\n{STEP}\n")) {
                    let step = Step::statement(statement, self.is_single());
                    patient.run(conn, &name, &step).await?;
                }
                conn.get().skip(TABLE, migration).await?;
            } else {
                patient.run(conn, &name, &Step::Whole(migration)).await?;
            }
            tracing::info!(migration = name, "done");
        }
        Ok(())
    }

    /// Who keeps this backend waiting.
    async fn blockers(&self, pid: i32) -> Result<Option<String>> {
        let blockers = sqlx::query_scalar::<_, Option<String>>(
            "select string_agg(
                 format('process %s (%s as %s, %s for %s s: %s)', a.pid, coalesce(nullif(a.application_name, ''), 'no name'),
                     coalesce(a.usename, '?'), coalesce(a.state, '?'),
                     round(extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.query_start)))::text,
                     regexp_replace(left(coalesce(a.query, ''), 80), '\\s+', ' ', 'g')),
                 '; ' order by a.pid)
             from pg_stat_activity a
             where a.pid = any (pg_blocking_pids($1))",
        );
        self.value("blockers", blockers.bind(pid)).await
    }
}

/// A step of a migration.
enum Step<'a> {
    /// The lock that older programs take.
    Lock,
    /// A transaction.
    Whole(&'a Migration),
    /// A statement on its own.
    Alone {
        sql: String,
        /// It holds up nobody while it waits.
        harmless: bool,
        /// The index that it makes: what a failed try left of it goes first.
        index: Option<String>,
    },
}

impl<'a> Step<'a> {
    /// `single`: in a database that nobody else uses.
    fn statement(sql: &str, single: bool) -> Self {
        // Comments may hold any word.
        let lines = sql
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"));
        let sql = lines.collect::<Vec<_>>().join("\n");
        let words: Vec<&str> = sql.split_whitespace().collect();
        let at = words
            .iter()
            .position(|word| word.eq_ignore_ascii_case("concurrently"));
        let index = at.and_then(|at| {
            let mut names = words[at + 1..]
                .iter()
                .filter(|word| !["if", "not", "exists"].contains(&word.to_lowercase().as_str()));
            names.next().map(|name| (*name).to_owned())
        });
        let harmless = at.is_some() || sql.contains("validate constraint");
        let sql = match single {
            true => sql.replace(" concurrently", ""),
            false => sql,
        };
        Self::Alone {
            sql,
            harmless,
            index,
        }
    }

    async fn run(&self, conn: &mut PgConnection) -> Result<()> {
        let patience = match self {
            Self::Alone { harmless: true, .. } => LONG,
            _ => BRIEF,
        };
        let timeout = format!("set lock_timeout = '{patience}'");
        (&mut *conn).execute(AssertSqlSafe(timeout)).await?;
        match self {
            Self::Lock => Ok(conn.lock().await?),
            Self::Whole(migration) => {
                conn.apply(TABLE, migration).await?;
                Ok(())
            }
            Self::Alone { sql, index, .. } => {
                if let Some(index) = index {
                    drop_unfinished(conn, index).await?;
                }
                (&mut *conn).execute(AssertSqlSafe(sql.clone())).await?;
                Ok(())
            }
        }
    }
}

/// Drops an index that a failed `create index concurrently` left behind.
async fn drop_unfinished(conn: &mut PgConnection, index: &str) -> Result<()> {
    let unfinished: bool = sqlx::query_scalar(
        "select exists (select from pg_index i where i.indexrelid = to_regclass($1) and not i.indisvalid)",
    )
    .bind(index)
    .fetch_one(&mut *conn)
    .await?;
    if unfinished {
        let drop = format!("drop index concurrently {index}");
        conn.execute(AssertSqlSafe(drop)).await?;
    }
    Ok(())
}

/// Runs steps, and waits for what is in their way.
struct Patient<'a> {
    store: &'a Store,
    /// The backend that runs them.
    pid: i32,
    until: Instant,
}

impl Patient<'_> {
    /// Waits until no other process brings the schema up to date. Asked for again and again: whoever waited in the database
    /// would keep the other from making an index concurrently.
    async fn lock(&self, conn: &mut Conn) -> Result<()> {
        let mut backoff = RETRY_LOCK.start();
        let locked = "select pg_try_advisory_lock($1)";
        while !sqlx::query_scalar::<_, bool>(locked)
            .bind(LOCK)
            .fetch_one(conn.get())
            .await?
        {
            if Instant::now() > self.until {
                return Err(Error::MigrationBlocked {
                    migration: "at the start".to_owned(),
                    by: "another `limekiln migrate`".to_owned(),
                });
            }
            sleep(backoff.delay()).await;
        }
        self.run(conn, "at the start", &Step::Lock).await
    }

    async fn run(&self, conn: &mut Conn, migration: &str, step: &Step<'_>) -> Result<()> {
        let mut backoff = RETRY.start();
        let mut by: Option<String> = None;
        loop {
            let error = match self.attempt(conn.get(), migration, step, &mut by).await {
                Ok(()) => return Ok(()),
                Err(error) if is_blocked(&error) => error,
                Err(error) => return Err(error),
            };
            let pause = backoff.delay();
            if Instant::now() + pause > self.until {
                return Err(Error::MigrationBlocked {
                    migration: migration.to_owned(),
                    by: by.unwrap_or_else(|| format!("somebody ({error})")),
                });
            }
            sleep(pause).await;
        }
    }

    /// One try. What is in its way while it waits is looked up beside it, and said once.
    async fn attempt(
        &self,
        conn: &mut PgConnection,
        migration: &str,
        step: &Step<'_>,
        by: &mut Option<String>,
    ) -> Result<()> {
        let mut running = std::pin::pin!(step.run(conn));
        loop {
            tokio::select! {
                done = &mut running => return done,
                // An embedded database has no second connection, and nobody else to wait for.
                () = sleep(LOOK), if !self.store.is_single() => {
                    let found = match self.store.blockers(self.pid).await {
                        Ok(found) => found,
                        Err(error) => {
                            tracing::debug!(%error, "what a migration waits for can't be seen");
                            None
                        }
                    };
                    if let Some(found) = found {
                        if by.is_none() {
                            tracing::warn!(migration, by = found, "waiting for a lock: others go on meanwhile, and it is tried again");
                        }
                        *by = Some(found);
                    }
                }
            }
        }
    }
}

/// Whether somebody else held what a step needs.
fn is_blocked(error: &Error) -> bool {
    let (Error::Database(error)
    | Error::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))) =
        error
    else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    // Lock timeout; deadlock.
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}
