//! A database of its own for a benchmark.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::{Error, Result};

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
