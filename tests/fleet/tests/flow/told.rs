//! Services that a test names to the command, and what it says.

use anyhow::{Context, Result, ensure};
use limekiln_fleet_tests::binary::limekiln;
use limekiln_testbed::{Postgres, RabbitMq, S3};

/// Postgres, RabbitMQ and S3 as the variables that name them.
pub(crate) struct Named {
    pub(crate) env: Vec<(String, String)>,
    /// The name of the database.
    pub(crate) database: String,
    pub(crate) bucket: String,
}

impl Named {
    /// A database, a virtual host and a bucket that nobody else uses. Nothing is made in them.
    pub(crate) async fn new() -> Self {
        let s3 = S3::shared();
        let bucket = s3.bucket();
        let database = Postgres::shared().database().await;
        let name = database.rsplit('/').next().unwrap_or_default().to_owned();
        let credentials = s3.credentials();
        let env = [
            ("DATABASE_URL", database),
            ("AMQP_URL", RabbitMq::shared().vhost().await),
            ("S3_ENDPOINT", s3.endpoint().to_string()),
            ("S3_BUCKET", bucket.clone()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_key.clone()),
            ("NO_COLOR", "1".to_owned()),
        ];
        Self {
            env: env.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            database: name,
            bucket,
        }
    }

    /// What one of the variables says.
    pub(crate) fn value(&self, name: &str) -> &str {
        let found = self.env.iter().find(|(of, _)| of == name);
        found.map_or("", |(_, value)| value)
    }

    /// The same with the bucket, and the prefix in it, of another.
    pub(crate) fn on_bucket_of(mut self, other: &Self, prefix: &str) -> Self {
        self.env.retain(|(name, _)| name != "S3_BUCKET");
        self.env
            .push(("S3_BUCKET".to_owned(), other.bucket.clone()));
        self.env.push(("S3_PREFIX".to_owned(), prefix.to_owned()));
        self.bucket.clone_from(&other.bucket);
        self
    }

    /// Runs a command to its end: its status, what it printed, what it said.
    pub(crate) async fn run(&self, args: &[&str]) -> Result<(i32, String, String)> {
        let done = tokio::process::Command::new(limekiln()?)
            .args(args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("LIMEKILN_LOG", "warn")
            .kill_on_drop(true)
            .output();
        let done = tokio::time::timeout(std::time::Duration::from_secs(60), done)
            .await
            .with_context(|| format!("{args:?} goes on"))??;
        Ok((
            done.status.code().context("it was killed")?,
            String::from_utf8(done.stdout)?,
            String::from_utf8(done.stderr)?,
        ))
    }

    /// What it prints; it must succeed.
    pub(crate) async fn succeeds(&self, args: &[&str]) -> Result<String> {
        let (status, printed, said) = self.run(args).await?;
        ensure!(status == 0, "{args:?}: {said}");
        Ok(printed)
    }

    /// Holds that it ends with this status and, in its last line, says this.
    pub(crate) async fn refused(&self, args: &[&str], status: i32, says: &str) -> Result<()> {
        let (found, _, said) = self.run(args).await?;
        let line = said.lines().last().unwrap_or_default();
        ensure!(
            found == status && line.starts_with("error: ") && line.contains(says),
            "{args:?} ended with {found}: {said}"
        );
        Ok(())
    }
}
