//! Postgres, RabbitMQ, S3, and the proxies before them.

use std::time::Duration;

use anyhow::{Context, Result};
use limekiln_blobs::Blobs;
use limekiln_testbed::{Postgres, Proxy, RabbitMq, S3};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// The three services of a run; each is reached through its proxy by the fleet, and directly by the checker.
#[derive(Debug)]
pub struct Services {
    /// With synchronous commit and fsync, as in production.
    pub postgres: Postgres,
    /// Debian's.
    pub rabbitmq: RabbitMq,
    /// The embedded server.
    pub s3: S3,
    /// Before each of them.
    pub proxies: Proxies,
}

/// What the fleet talks through.
#[derive(Debug)]
pub struct Proxies {
    /// Before Postgres.
    pub postgres: Proxy,
    /// Before RabbitMQ.
    pub rabbitmq: Proxy,
    /// Before S3.
    pub s3: Proxy,
}

impl Proxies {
    /// All three.
    #[must_use]
    pub fn all(&self) -> [&Proxy; 3] {
        [&self.postgres, &self.rabbitmq, &self.s3]
    }
}

impl Services {
    /// Starts them.
    ///
    /// # Errors
    ///
    /// When one can't be started.
    pub async fn start() -> Result<Self> {
        let (postgres, rabbitmq, s3) = tokio::try_join!(
            tokio::task::spawn_blocking(Postgres::durable),
            tokio::task::spawn_blocking(RabbitMq::start),
            tokio::task::spawn_blocking(S3::start),
        )?;
        let proxies = Proxies {
            postgres: Proxy::start(postgres.port()),
            rabbitmq: Proxy::start(rabbitmq.port()),
            s3: Proxy::start(s3.port()),
        };
        Ok(Self {
            postgres,
            rabbitmq,
            s3,
            proxies,
        })
    }

    /// What is one fleet's own: a database, a virtual host, a bucket.
    ///
    /// # Errors
    ///
    /// When the checker can't reach them.
    pub async fn namespace(&self) -> Result<Namespace> {
        let database = self.postgres.database().await;
        let amqp = self.rabbitmq.vhost().await;
        let bucket = self.s3.bucket();
        let blobs = Blobs::connect(&self.s3.settings(&bucket))
            .await
            .context("S3")?;
        blobs.bucket_ensure().await.context("S3")?;
        let postgres = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(20))
            .connect(&database)
            .await
            .context("Postgres")?;
        let credentials = self.s3.credentials();
        let env = [
            ("DATABASE_URL", self.proxies.postgres.before(&database)),
            ("AMQP_URL", self.proxies.rabbitmq.before(&amqp)),
            (
                "S3_ENDPOINT",
                self.proxies.s3.before(self.s3.endpoint().as_str()),
            ),
            ("S3_BUCKET", bucket),
            // Walks through the bucket all the time, whatever else happens.
            ("LIMEKILN_SWEEP_EVERY", "1s".to_owned()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_key.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ];
        Ok(Namespace {
            env: env.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            postgres,
            blobs,
            vhost: vhost_of(&amqp),
        })
    }
}

fn vhost_of(amqp: &str) -> String {
    amqp.rsplit('/').next().unwrap_or_default().to_owned()
}

impl Namespace {
    /// The same with some of what its processes are told replaced.
    #[must_use]
    pub fn with(&self, changed: &[(&str, String)]) -> Self {
        let mut other = self.clone();
        for (name, value) in changed {
            other.env.retain(|(old, _)| old != name);
            other.env.push(((*name).to_owned(), value.clone()));
        }
        other
    }
}

/// A database, a virtual host and a bucket that only one fleet uses.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// What its processes are told.
    pub env: Vec<(String, String)>,
    /// Straight to Postgres.
    pub postgres: PgPool,
    /// Straight to the bucket.
    pub blobs: Blobs,
    /// The virtual host.
    pub vhost: String,
}

impl Namespace {
    /// What a process is told that is another user of the database.
    #[must_use]
    pub fn env_of(&self, user: &str) -> Vec<(String, String)> {
        let told = |(name, value): &(String, String)| {
            let value = match &**name {
                "DATABASE_URL" => value.replacen("//postgres@", &format!("//{user}@"), 1),
                _ => value.clone(),
            };
            (name.clone(), value)
        };
        self.env.iter().map(told).collect()
    }
}
