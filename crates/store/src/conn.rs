//! One statement on one connection: within a time limit, and never on a connection in an unknown state.

use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::query::{Query, QueryAs, QueryScalar};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::store::Store;

/// Longer than the server's own `statement_timeout`: past it the network has swallowed the answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(25);
/// Longest wait for a connection to come clean before it is thrown away.
const RETURN: Duration = Duration::from_secs(5);

/// A connection that goes back to the pool only when it is [`Conn::done`] with: dropped in the middle of a statement (a
/// caller that went away, an error, a deadline) it is closed, since nobody knows what it will answer next. The only
/// connection of an embedded database always goes back, and comes clean there.
pub(crate) struct Conn {
    conn: PoolConnection<Postgres>,
    keep: bool,
}

impl Conn {
    pub(crate) fn new(conn: PoolConnection<Postgres>, keep: bool) -> Self {
        Self { conn, keep }
    }

    pub(crate) fn get(&mut self) -> &mut PgConnection {
        &mut self.conn
    }

    pub(crate) fn done(mut self) {
        self.keep = true;
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if !self.keep {
            self.conn.close_on_drop();
        } else if let Ok(runtime) = Handle::try_current() {
            // The pool asks the server whether the connection is well; a server that is out of reach would keep it.
            let returned = self.conn.return_to_pool();
            runtime.spawn(async move {
                if timeout(RETURN, returned).await.is_err() {
                    tracing::warn!("a connection to the database did not answer and was dropped");
                }
            });
        }
    }
}

/// The result, or [`Error::Timeout`].
pub(crate) async fn deadline<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    match timeout(DEADLINE, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Error::Timeout {
            after_s: DEADLINE.as_secs(),
        }),
    }
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl Store {
    /// All rows of a statement, which `name` names in metrics.
    pub(crate) async fn rows(
        &self,
        name: &'static str,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>> {
        let mut conn = self.conn().await?;
        let begun = Instant::now();
        let rows = deadline(statement.fetch_all(conn.get())).await?;
        conn.done();
        observe(name, begun);
        Ok(rows)
    }

    /// The only row of a statement, if it has one.
    pub(crate) async fn row(
        &self,
        name: &'static str,
        statement: Statement<'_>,
    ) -> Result<Option<PgRow>> {
        Ok(self.rows(name, statement).await?.pop())
    }

    /// How many rows a statement wrote.
    pub(crate) async fn count(&self, name: &'static str, statement: Statement<'_>) -> Result<u64> {
        let mut conn = self.conn().await?;
        let begun = Instant::now();
        let done = deadline(statement.execute(conn.get())).await?;
        conn.done();
        observe(name, begun);
        Ok(done.rows_affected())
    }

    /// The only value of a statement.
    pub(crate) async fn value<T>(
        &self,
        name: &'static str,
        statement: QueryScalar<'_, Postgres, T, PgArguments>,
    ) -> Result<T>
    where
        T: Send + Unpin,
        (T,): for<'r> sqlx::FromRow<'r, PgRow>,
    {
        let mut conn = self.conn().await?;
        let begun = Instant::now();
        let value = deadline(statement.fetch_one(conn.get())).await?;
        conn.done();
        observe(name, begun);
        Ok(value)
    }

    /// The only row of a statement, as a tuple.
    pub(crate) async fn value_row<T>(
        &self,
        name: &'static str,
        statement: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<T>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, PgRow>,
    {
        let mut conn = self.conn().await?;
        let begun = Instant::now();
        let value = deadline(statement.fetch_one(conn.get())).await?;
        conn.done();
        observe(name, begun);
        Ok(value)
    }
}

pub(crate) fn observe(name: &'static str, begun: Instant) {
    metrics::histogram!("limekiln_store_statement_seconds", "statement" => name)
        .record(begun.elapsed().as_secs_f64());
}
