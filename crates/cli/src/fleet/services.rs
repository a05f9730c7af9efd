//! Connections to Postgres, RabbitMQ and S3.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use limekiln_blobs::Blobs;
use limekiln_broker::Broker;
use limekiln_jobs::Retryable;
use limekiln_jobs::retry::Policy;
use limekiln_store::Store;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::args::{DatabaseArgs, S3Args, ServicesArgs};
use crate::settings::Usage;
use crate::told::told;

/// How long a statement waits for a connection to Postgres.
const ACQUIRE: Duration = Duration::from_secs(10);
/// How long a process that starts waits for a service that is out of reach.
const RETRY: Policy = Policy::new(Duration::from_millis(250), Duration::from_secs(5))
    .patience(Duration::from_secs(60));

/// The three services.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) blobs: Blobs,
}

impl Services {
    /// Connects to all three, and checks that the tables are there and that the bucket is their fleet's. Waits for a minute
    /// for a service that is out of reach: processes that start together, or during an outage, should not have to be started
    /// again.
    ///
    /// # Errors
    ///
    /// [`Usage`] for a service that is not named; else what to do about the one that does not answer; also when
    /// `shutdown` comes first.
    pub(crate) async fn connect(
        args: &ServicesArgs,
        name: &str,
        shutdown: &CancellationToken,
    ) -> Result<Self> {
        let broker = async || broker(args, name).await;
        unless_stopped(shutdown, Self::reach(args, broker)).await
    }

    /// The same for a gateway, which serves while RabbitMQ is away: that is connected to in the background.
    ///
    /// # Errors
    ///
    /// As [`Services::connect`].
    pub(crate) async fn connect_gateway(
        args: &ServicesArgs,
        name: &str,
        shutdown: &CancellationToken,
    ) -> Result<Self> {
        let broker = async || broker_in_background(args, name).await;
        unless_stopped(shutdown, Self::reach(args, broker)).await
    }

    async fn reach(args: &ServicesArgs, broker: impl AsyncFn() -> Result<Broker>) -> Result<Self> {
        let store = patient("Postgres", async || {
            let store = store(&args.database).await?;
            store.schema_check().await?;
            Ok(store)
        })
        .await?;
        let broker = patient("RabbitMQ", broker).await?;
        let blobs = blobs(&args.s3).await?;
        patient("S3", async || {
            blobs.bucket_ensure().await?;
            Ok(limekiln_coordinator::claim(&store, &blobs).await?)
        })
        .await?;
        Ok(Self {
            store,
            broker,
            blobs,
        })
    }
}

async fn unless_stopped<T>(
    shutdown: &CancellationToken,
    reached: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        reached = reached => reached,
        () = shutdown.cancelled() => bail!("told to stop before the services were reached"),
    }
}

/// Tries again while the service is out of reach, for a minute.
pub(crate) async fn patient<T>(
    service: &str,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let mut backoff = RETRY.start();
    loop {
        let error = match attempt().await {
            Err(error) if is_transient(&error) => error,
            done => return done,
        };
        let Some(delay) = backoff.next() else {
            return Err(error);
        };
        tracing::warn!(error = told(&error), "waiting for {service}");
        tokio::time::sleep(delay).await;
    }
}

/// Whether any of the three services says that trying again can help.
fn is_transient(error: &anyhow::Error) -> bool {
    fn of<E: Retryable + std::error::Error + 'static>(
        cause: &(dyn std::error::Error + 'static),
    ) -> bool {
        cause.downcast_ref::<E>().is_some_and(E::is_transient)
    }
    error.chain().any(|cause| {
        of::<limekiln_store::Error>(cause)
            || of::<limekiln_broker::Error>(cause)
            || of::<limekiln_blobs::Error>(cause)
            || of::<limekiln_coordinator::Error>(cause)
    })
}

/// Connects to Postgres, and does not look at its tables.
///
/// # Errors
///
/// [`Usage`] when it is not named; when it can't be reached.
pub(crate) async fn store(args: &DatabaseArgs) -> Result<Store> {
    let url = args.database.as_deref().ok_or_else(|| {
        Usage("where is Postgres? give --database or DATABASE_URL, such as postgres://user:password@host/limekiln".to_owned())
    })?;
    let settings = limekiln_store::Settings {
        url: url.to_owned(),
        connections: args.database_connections,
        acquire_timeout: ACQUIRE,
    };
    Store::connect(&settings)
        .await
        .context("Postgres (--database)")
}

/// Connects to RabbitMQ.
///
/// # Errors
///
/// [`Usage`] when it is not named; when it can't be reached.
pub(crate) async fn broker(args: &ServicesArgs, name: &str) -> Result<Broker> {
    broker_of(broker_settings(args, name)?).await
}

/// Connects to RabbitMQ, in the background where it is out of reach.
///
/// # Errors
///
/// As [`broker`], but not when it can't be reached.
async fn broker_in_background(args: &ServicesArgs, name: &str) -> Result<Broker> {
    let mut settings = broker_settings(args, name)?;
    settings.in_background = true;
    broker_of(settings).await
}

fn broker_settings(args: &ServicesArgs, name: &str) -> Result<limekiln_broker::Settings> {
    let url = args.amqp.as_deref().ok_or_else(|| {
        Usage("where is RabbitMQ? give --amqp or AMQP_URL, such as amqp://user:password@host:5672/%2f".to_owned())
    })?;
    let mut settings = limekiln_broker::Settings::new(url);
    settings.name = name.to_owned();
    Ok(settings)
}

async fn broker_of(settings: limekiln_broker::Settings) -> Result<Broker> {
    Broker::connect(&settings)
        .await
        .context("RabbitMQ (--amqp)")
}

/// A handle to the bucket. Nothing is sent yet.
///
/// # Errors
///
/// When the settings can't be right.
pub(crate) async fn blobs(args: &S3Args) -> Result<Blobs> {
    blobs_under(args, "").await
}

/// Services that a benchmark measures, in a database, queues and keys of its own.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn measured(args: &ServicesArgs) -> Result<limekiln_bench::Services> {
    let url = args.database.database.as_deref().ok_or_else(|| {
        Usage("which Postgres is measured? give --database or DATABASE_URL".to_owned())
    })?;
    let name = format!("bench-{}", &Uuid::now_v7().simple().to_string()[20..]);
    Ok(limekiln_bench::Services {
        database: url.to_owned(),
        connections: args.database.database_connections,
        broker: broker(args, "bench").await?,
        blobs: blobs_under(&args.s3, &name).await?,
        name,
    })
}

/// A handle to the bucket, with `folder` put before every key, behind the prefix. Nothing is sent yet.
///
/// # Errors
///
/// When the settings can't be right.
pub(crate) async fn blobs_under(args: &S3Args, folder: &str) -> Result<Blobs> {
    let mut settings =
        limekiln_blobs::Settings::new(args.s3_endpoint.clone(), args.s3_bucket.clone());
    settings.prefix = match (args.s3_prefix.trim_matches('/'), folder) {
        (prefix, "") => prefix.to_owned(),
        ("", folder) => folder.to_owned(),
        (prefix, folder) => format!("{prefix}/{folder}"),
    };
    settings.public_endpoint = args.s3_public_endpoint.clone();
    settings.region.clone_from(&args.s3_region);
    Blobs::connect(&settings)
        .await
        .context("S3 (--s3-endpoint)")
}

/// Names this machine and process, for lists of connections and workers.
pub(crate) fn process_name(command: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "localhost",
        host => host,
    };
    format!("{command}@{host}/{}", std::process::id())
}
