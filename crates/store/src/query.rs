//! One statement on one connection, within a time limit, and timed.

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::{Query, QueryAs, QueryScalar};

use crate::conn::deadline;
use crate::error::Result;
use crate::store::Store;

type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl Store {
    /// All rows of a statement, which `name` names in metrics.
    pub(crate) async fn rows(
        &self,
        name: &'static str,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>> {
        let mut conn = self.conn().await?;
        let rows = deadline(statement.fetch_all(conn.get())).await?;
        conn.done_with(name);
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
        let done = deadline(statement.execute(conn.get())).await?;
        conn.done_with(name);
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
        let value = deadline(statement.fetch_one(conn.get())).await?;
        conn.done_with(name);
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
        let value = deadline(statement.fetch_one(conn.get())).await?;
        conn.done_with(name);
        Ok(value)
    }
}
