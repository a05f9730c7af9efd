//! A connection that is never in an unknown state, and the time limit of a statement.

use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, Postgres};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::error::{Error, Result};

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
    since: Instant,
}

impl Conn {
    pub(crate) fn new(conn: PoolConnection<Postgres>, keep: bool) -> Self {
        Self {
            conn,
            keep,
            since: Instant::now(),
        }
    }

    pub(crate) fn get(&mut self) -> &mut PgConnection {
        &mut self.conn
    }

    pub(crate) fn done(mut self) {
        self.keep = true;
    }

    /// The same after a statement that `name` names in metrics.
    pub(crate) fn done_with(self, name: &'static str) {
        observe(name, self.since);
        self.done();
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

/// Records how long a statement took.
pub(crate) fn observe(name: &'static str, begun: Instant) {
    metrics::histogram!("limekiln_store_statement_seconds", "statement" => name)
        .record(begun.elapsed().as_secs_f64());
}
