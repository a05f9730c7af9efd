//! Poolers between the program and Postgres.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Executor, Postgres, Row};
use tokio::time::timeout;
use uuid::Uuid;

use crate::error::{Error, Result};

/// How long the second connection may take; where there is none to be had, nothing is found out.
const SECOND: Duration = Duration::from_secs(3);

/// Refuses a pooler that gives one session to several clients (PgBouncer in transaction mode): settings, prepared statements
/// and advisory locks of one client would be another's.
///
/// A session has a mark, and another client opens a transaction. Such a pooler either lends it the very session that has the
/// mark, or lends us another at our next statement, which has none.
pub(crate) async fn check(pool: &PgPool) -> Result<()> {
    let mark = Uuid::now_v7().simple().to_string();
    let mut ours = pool.acquire().await?;
    let set = format!("select set_config('limekiln.session', '{mark}', false)");
    ours.execute(sqlx::raw_sql(AssertSqlSafe(set))).await?;
    let Ok(Ok(mut other)) = timeout(SECOND, pool.acquire()).await else {
        return Ok(());
    };
    match other.execute(sqlx::raw_sql("begin")).await {
        // In statement mode, transactions are refused altogether.
        Err(sqlx::Error::Database(_)) => return Err(Error::SessionsShared),
        begun => begun?,
    };
    let seen = mark_of(&mut other).await;
    let kept = mark_of(&mut ours).await;
    other.execute(sqlx::raw_sql("rollback")).await?;
    ours.execute(sqlx::raw_sql("reset limekiln.session"))
        .await?;
    if seen?.as_ref() == Some(&mark) || kept?.as_ref() != Some(&mark) {
        return Err(Error::SessionsShared);
    }
    Ok(())
}

/// The mark of the session, asked for without preparing a statement.
async fn mark_of(conn: &mut PoolConnection<Postgres>) -> Result<Option<String>> {
    let asked = sqlx::raw_sql("select current_setting('limekiln.session', true)");
    Ok(conn.fetch_one(asked).await?.try_get(0)?)
}
