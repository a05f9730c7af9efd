//! A database, queues and keys of its own, and the processes on them.

use std::time::Duration;

use bytes::Bytes;
use limekiln_blobs::{Blobs, Key, Prefix};
use limekiln_broker::Broker;
use limekiln_coordinator::Submitter;
use limekiln_jobs::{Digest, ImageId, ModelName, TenantId};
use limekiln_store::bench::Scratch;
use limekiln_store::{Limits, NewImage, Store, Submission, Submitted};
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::NullEditor;
use crate::error::{Error, Result};

/// About what a product photo of 256x256 takes, compressed.
const INPUT_BYTES: usize = 30_000;
/// Between two looks whether all have ended.
const LOOK: Duration = Duration::from_millis(20);
/// Nothing ends for so long only when something is broken.
const STUCK: Duration = Duration::from_secs(60);
/// Steps of an edit; they take no time.
const STEPS: u32 = 4;

/// The services that are measured.
#[derive(Debug)]
pub struct Services {
    /// For the database and the model: a-z, 0-9 and -, and nobody else's.
    pub name: String,
    /// `postgres://user:password@host:5432/database`; its role may create databases.
    pub database: String,
    /// Most connections to Postgres.
    pub connections: u32,
    /// RabbitMQ.
    pub broker: Broker,
    /// S3, with a prefix of its own before every key: all blobs there are deleted in the end.
    pub blobs: Blobs,
}

/// Everything that a run needs.
pub(crate) struct Sandbox {
    scratch: Scratch,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    blobs: Blobs,
    pub(crate) model: ModelName,
    /// Who submits, and what.
    pub(crate) tenants: Vec<(TenantId, ImageId)>,
    cache: TempDir,
}

/// The workers of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    pub(crate) workers: u32,
    /// Of each.
    pub(crate) slots: u32,
    /// Whether inputs are read from S3, and checkpoints and results written to it.
    pub(crate) blobs: bool,
}

impl Sandbox {
    /// Makes the database, the tenants and their images.
    ///
    /// # Errors
    ///
    /// What a service says.
    pub(crate) async fn new(tenants: u32, services: Services) -> Result<Self> {
        let scratch = Scratch::create(&services.database, &services.name).await?;
        let mut database = limekiln_store::Settings::new(scratch.url());
        database.connections = services.connections;
        let store = Store::connect(&database).await?;
        store.migrate().await?;
        services.blobs.bucket_ensure().await?;
        limekiln_coordinator::claim(&store, &services.blobs).await?;
        let model = services.name.parse::<ModelName>();
        let mut sandbox = Self {
            scratch,
            store,
            broker: services.broker,
            blobs: services.blobs,
            model: model.map_err(|error| Error::Name(error.to_string()))?,
            tenants: Vec::new(),
            cache: tempfile::tempdir().map_err(Error::Cache)?,
        };
        for number in 0..tenants {
            let tenant = sandbox.tenant(number).await?;
            sandbox.tenants.push(tenant);
        }
        Ok(sandbox)
    }

    async fn tenant(&self, number: u32) -> Result<(TenantId, ImageId)> {
        let tenant = self
            .store
            .tenant_create(&format!("bench-{number}"), &Limits::UNLIMITED)
            .await?;
        // Any bytes will do: the null editor looks at none of them.
        let seed = u64::from(number).to_le_bytes();
        let mut bytes = vec![0; INPUT_BYTES];
        blake3::Hasher::new()
            .update(&seed)
            .finalize_xof()
            .fill(&mut bytes);
        let digest = Digest::of(&bytes);
        let key = Key::image(tenant.id, &digest);
        self.blobs
            .put(&key, Bytes::from(bytes), "application/octet-stream")
            .await?;
        let image = NewImage {
            key: key.to_string(),
            digest,
            media_type: "image/png".to_owned(),
            bytes: INPUT_BYTES as u64,
            width: 256,
            height: 256,
        };
        let image = self.store.image_create(tenant.id, &image).await?;
        Ok((tenant.id, image.id))
    }

    /// Fills the tables with finished edits of other tenants.
    ///
    /// # Errors
    ///
    /// Postgres'.
    pub(crate) async fn fill(&self, count: u32) -> Result<()> {
        tracing::info!(count, "filling the tables with finished edits");
        let tenants = self.tenants.len() as u32;
        Ok(self.store.edits_fill(tenants, u64::from(count)).await?)
    }

    /// A coordinator and workers, until the token is cancelled.
    ///
    /// # Errors
    ///
    /// When they can't start.
    pub(crate) fn start(&self, fleet: Fleet, stop: &CancellationToken) -> Result<Running> {
        let mut settings = limekiln_coordinator::Settings::default();
        settings.retention.images = None;
        let coordinator = tokio::spawn(limekiln_coordinator::run(
            settings,
            self.store.clone(),
            self.broker.clone(),
            self.blobs.clone(),
            stop.clone(),
        ));
        let mut workers = JoinSet::new();
        for number in 0..fleet.workers {
            let models = vec![self.model.clone()];
            let name = format!("bench-{number}");
            let cache = self.cache.path().join(&name);
            let mut settings = limekiln_worker::Settings::new(name, models, cache);
            settings.slots = fleet.slots;
            settings.blobs = fleet.blobs;
            workers.spawn(limekiln_worker::run(
                settings,
                self.store.clone(),
                self.broker.clone(),
                self.blobs.clone(),
                Box::new(|| Ok(Box::new(NullEditor::new(STEPS, Duration::ZERO)))),
                stop.clone(),
            ));
        }
        Ok(Running {
            submitter: Submitter::new(self.store.clone(), self.broker.clone()),
            coordinator,
            workers,
        })
    }

    /// Waits until so many workers take edits.
    ///
    /// # Errors
    ///
    /// Postgres'.
    pub(crate) async fn workers_ready(&self, count: u32) -> Result<()> {
        while self.store.worker_list().await?.len() < count as usize {
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until no edit is unfinished.
    ///
    /// # Errors
    ///
    /// When nothing ends any more.
    pub(crate) async fn all_ended(&self) -> Result<()> {
        let mut last = (u64::MAX, Instant::now());
        loop {
            let tenants = self.store.tenant_list().await?;
            let unfinished: u64 = tenants
                .iter()
                .map(|tenant| u64::from(tenant.in_flight))
                .sum();
            if unfinished == 0 {
                return Ok(());
            }
            if unfinished < last.0 {
                last = (unfinished, Instant::now());
            } else if last.1.elapsed() > STUCK {
                return Err(Error::Stuck {
                    after: STUCK,
                    unfinished,
                });
            }
            sleep(LOOK).await;
        }
    }

    /// Removes what was made.
    ///
    /// # Errors
    ///
    /// What is left, and why.
    pub(crate) async fn remove(self) -> Result<()> {
        self.broker.model_delete(&self.model).await?;
        self.broker.close().await;
        let all = Prefix::all();
        loop {
            let page = self.blobs.list(&all, None, 1000).await?;
            if page.blobs.is_empty() {
                break;
            }
            let keys: Vec<Key> = page.blobs.into_iter().map(|blob| blob.key).collect();
            self.blobs.delete(&keys).await?;
        }
        self.store.close().await;
        Ok(self.scratch.remove().await?)
    }
}

/// The processes of a run.
pub(crate) struct Running {
    pub(crate) submitter: Submitter,
    coordinator: JoinHandle<std::result::Result<(), limekiln_coordinator::Error>>,
    workers: JoinSet<limekiln_worker::Result<()>>,
}

impl Running {
    /// Waits until all ended, once their token is cancelled.
    ///
    /// # Errors
    ///
    /// What one of them died of.
    pub(crate) async fn ended(mut self) -> Result<()> {
        while let Some(worker) = self.workers.join_next().await {
            worker??;
        }
        self.coordinator.await??;
        Ok(())
    }
}

/// Submits one edit.
///
/// # Errors
///
/// When it is not taken.
pub(crate) async fn submit(submitter: &Submitter, submission: Submission) -> Result<()> {
    match submitter.submit(submission).await? {
        Submitted::Created { .. } => Ok(()),
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}
