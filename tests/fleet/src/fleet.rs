//! Two gateways, two coordinators, two workers, and a supervisor that starts again what ended.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use sqlx::AssertSqlSafe;

use crate::command::command;
use crate::member::{Editor, Member, Role};
use crate::services::Namespace;

/// A fleet on one namespace.
#[derive(Debug)]
pub struct Fleet {
    /// Two.
    pub gateways: Vec<Member>,
    /// Two.
    pub coordinators: Vec<Member>,
    /// Two.
    pub workers: Vec<Member>,
    http: reqwest::Client,
}

impl Fleet {
    /// Makes the tables and the roles, and starts two of each component in its role; all are ready.
    ///
    /// # Errors
    ///
    /// What the first that failed wrote.
    pub async fn start(
        editor: Editor,
        namespace: &Namespace,
        dir: &Path,
        http: &reqwest::Client,
    ) -> Result<Self> {
        command(namespace, &["migrate", "--roles"]).await?;
        for role in ["gateway", "coordinator", "worker"] {
            let login = format!("alter role limekiln_{role} login");
            sqlx::raw_sql(AssertSqlSafe(login))
                .execute(&namespace.postgres)
                .await?;
        }
        let two = |role: Role| {
            (1..=2)
                .map(|number| Member::start(role, number, namespace, dir))
                .collect::<Result<Vec<_>>>()
        };
        let fleet = Self {
            gateways: two(Role::Gateway)?,
            coordinators: two(Role::Coordinator)?,
            workers: two(Role::Worker(editor))?,
            http: http.clone(),
        };
        fleet.ready().await?;
        Ok(fleet)
    }

    /// Every process.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.gateways
            .iter()
            .chain(&self.coordinators)
            .chain(&self.workers)
    }

    /// Waits until all are ready.
    ///
    /// # Errors
    ///
    /// What the first that failed wrote.
    pub async fn ready(&self) -> Result<()> {
        for member in self.members() {
            member.ready(&self.http).await?;
        }
        Ok(())
    }

    /// That nothing ended that nobody killed.
    ///
    /// # Errors
    ///
    /// What the first that ended wrote.
    pub fn is_whole(&self) -> Result<()> {
        self.members().try_for_each(Member::is_whole)
    }

    /// What a supervisor does, for ever: see [`Member::supervise`].
    ///
    /// # Errors
    ///
    /// What it can't mend.
    pub async fn supervise(&self) -> Result<std::convert::Infallible> {
        loop {
            for member in self.members() {
                member.supervise(&self.http).await?;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
