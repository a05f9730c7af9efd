//! A database of its own for a benchmark, and what it reads there.

use std::str::FromStr;

use limekiln_jobs::ModelName;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use time::OffsetDateTime;

use crate::{Error, Result, Store};

/// A database beside the named one; [`Scratch::remove`] removes it.
#[derive(Debug)]
pub struct Scratch {
    server: PgConnectOptions,
    name: String,
}

impl Scratch {
    /// Creates the database `name` (a-z, 0-9 and -) on the server of `url`.
    ///
    /// # Errors
    /// An unreadable URL; a server that can't be reached; a role that may not create databases.
    pub async fn create(url: &str, name: &str) -> Result<Self> {
        let server =
            PgConnectOptions::from_str(url).map_err(|error| Error::Url(error.to_string()))?;
        if !name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(Error::Invalid {
                field: "name",
                message: "a-z, 0-9 and - only".to_owned(),
            });
        }
        let scratch = Self {
            server,
            name: name.to_owned(),
        };
        scratch.run(format!("create database \"{name}\"")).await?;
        Ok(scratch)
    }

    /// Where it is. Holds the password.
    pub fn url(&self) -> String {
        self.server
            .clone()
            .database(&self.name)
            .to_url_lossy()
            .to_string()
    }

    /// Removes the database, whoever is connected.
    ///
    /// # Errors
    /// A server that can't be reached.
    pub async fn remove(self) -> Result<()> {
        self.run(format!("drop database \"{}\" with (force)", self.name))
            .await
    }

    async fn run(&self, statement: String) -> Result<()> {
        let mut conn = PgConnection::connect_with(&self.server).await?;
        // The name was checked.
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut conn)
            .await?;
        conn.close().await?;
        Ok(())
    }
}

/// How long edits waited from the commit of their submission to their claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waits {
    /// Half of them waited no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 waited no longer, in milliseconds.
    pub p99_ms: f64,
    /// Edits that have not succeeded.
    pub unsuccessful: i64,
}

impl Store {
    /// The server's clock.
    pub async fn now(&self) -> Result<OffsetDateTime> {
        self.value("now", sqlx::query_scalar("select clock_timestamp()"))
            .await
    }

    /// How long edits of the model waited that were submitted after `since`. Reads every row of the table.
    pub async fn start_waits(&self, model: &ModelName, since: OffsetDateTime) -> Result<Waits> {
        let (p50_ms, p99_ms, unsuccessful): (f64, f64, i64) = self
            .value_row(
                "waits",
                sqlx::query_as(
                    "select coalesce(percentile_cont(0.5) within group (order by wait), 0),
                            coalesce(percentile_cont(0.99) within group (order by wait), 0),
                            count(*) filter (where state <> 'succeeded')
                       from (select state, extract(epoch from started_at - created_at)::float8 * 1000 as wait
                               from edits where model = $1 and created_at >= $2) waits",
                )
                .bind(model.as_str())
                .bind(since),
            )
            .await?;
        Ok(Waits {
            p50_ms,
            p99_ms,
            unsuccessful,
        })
    }

    /// Ends all leases there are: for a process that knows that no worker but its own uses this database, and whose
    /// workers have not started. Returns how many there were; the reaper does the rest.
    pub async fn leases_end_all(&self) -> Result<u64> {
        let ended: i64 = self
            .value(
                "leases",
                sqlx::query_scalar(
                    "with ended as (
                         update edits set lease_expires_at = now() where state = 'running' returning 1)
                     select count(*) from ended",
                ),
            )
            .await?;
        Ok(ended.unsigned_abs())
    }
}
