//! A fleet without workers: a database, a broker and a bucket of its own, and what workers would do.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use limekiln_blobs::{Blobs, Key};
use limekiln_broker::{Broker, Consumer, Delivery};
use limekiln_coordinator::{Error, Retention, Settings, Submitter, Webhooks, run};
use limekiln_jobs::{
    ArtifactKind, Digest, EditId, EditView, Epoch, Failure, FailureClass, ImageId, ModelName, Spec,
    StateName, TenantId, WorkerId,
};
use limekiln_store::{
    Claimed, Completion, Failed, Limits, NewArtifact, NewImage, NewWorker, Store, Submission,
    Submitted,
};
use limekiln_testbed::{Postgres, Proxy, RabbitMq, S3};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes here on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// So long that a test that needs it to pass fails.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

pub(crate) struct Home {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) blobs: Blobs,
    /// Of Postgres' databases, which one.
    pub(crate) database: String,
    pub(crate) vhost_url: String,
    pub(crate) worker: WorkerId,
}

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NAMES: AtomicU32 = AtomicU32::new(0);

fn database_of(url: &str) -> String {
    url.rsplit_once('/').unwrap().1.to_owned()
}

pub(crate) fn provider() {
    // The first of the process counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A virtual host: its URL. One at a time, for two of erl_call at once take each other's name.
pub(crate) async fn vhost() -> String {
    static ONE: Mutex<()> = Mutex::const_new(());
    let _one = ONE.lock().await;
    RabbitMq::shared().vhost().await
}

/// A migrated database: its URL.
pub(crate) async fn database() -> String {
    let template = TEMPLATE
        .get_or_init(|| async {
            let url = Postgres::shared().database().await;
            let store = Store::connect(&limekiln_store::Settings::new(url.clone()))
                .await
                .unwrap();
            store.migrate().await.unwrap();
            store.close().await;
            database_of(&url)
        })
        .await;
    Postgres::shared().database_like(template).await
}

impl Home {
    pub(crate) async fn new() -> Self {
        let url = database().await;
        let vhost_url = vhost().await;
        let broker = Broker::connect(&limekiln_broker::Settings::new(vhost_url.clone()))
            .await
            .unwrap();
        Self::of(&url, broker, vhost_url).await
    }

    /// With this broker instead.
    pub(crate) async fn of(url: &str, broker: Broker, vhost_url: String) -> Self {
        provider();
        let store = Store::connect(&limekiln_store::Settings::new(url))
            .await
            .unwrap();
        let s3 = S3::shared();
        let blobs = Blobs::connect(&s3.settings(&s3.bucket())).await.unwrap();
        blobs.bucket_ensure().await.unwrap();
        Self {
            store,
            broker,
            blobs,
            database: database_of(url),
            vhost_url,
            worker: WorkerId::new(),
        }
    }

    /// Changes the database behind everybody's back.
    pub(crate) async fn sql(&self, sql: &str) {
        Postgres::shared().execute(&self.database, sql).await;
    }

    /// A connection of the test's own to the database.
    pub(crate) async fn connection(&self) -> PgConnection {
        let url = Postgres::shared().url(&self.database);
        PgConnection::connect(&url).await.unwrap()
    }

    /// A number from the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut connection = self.connection().await;
        let number = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        number
    }

    pub(crate) fn submitter(&self) -> Submitter {
        Submitter::new(self.store.clone(), self.broker.clone())
    }

    pub(crate) fn coordinator(&self, settings: Settings) -> Coordinator {
        let shutdown = CancellationToken::new();
        let task = run(
            settings,
            self.store.clone(),
            self.broker.clone(),
            self.blobs.clone(),
            shutdown.clone(),
        );
        Coordinator {
            shutdown,
            task: tokio::spawn(task),
        }
    }

    pub(crate) async fn tenant(&self) -> TenantId {
        tenant(&self.store).await
    }

    pub(crate) async fn image(&self, tenant: TenantId) -> ImageId {
        image(&self.store, &self.blobs, tenant).await
    }

    /// Submits an edit as it is and gives its id.
    pub(crate) async fn submit(&self, submission: Submission) -> EditId {
        let id = submission.id;
        let submitted = self.submitter().submit(submission).await.unwrap();
        assert!(
            matches!(submitted, Submitted::Created { .. }),
            "{submitted:?}"
        );
        id
    }

    /// An edit, submitted.
    pub(crate) async fn edit(&self) -> (TenantId, EditId) {
        let tenant = self.tenant().await;
        let image = self.image(tenant).await;
        (tenant, self.submit(submission(tenant, image)).await)
    }

    pub(crate) async fn consumer(&self, slots: u16) -> Consumer {
        self.broker.consume(&model(), slots).await.unwrap()
    }

    pub(crate) async fn slots(&self, slots: u32) {
        let worker = NewWorker {
            id: self.worker,
            name: "test".to_owned(),
            models: vec![model()],
            slots,
            version: "0".to_owned(),
            device: "cpu".to_owned(),
        };
        self.store.worker_register(&worker, NEVER).await.unwrap();
    }

    pub(crate) async fn claim(&self, edit: EditId) -> Claimed {
        let claimed = self
            .store
            .edits_claim(self.worker, &[edit], NEVER)
            .await
            .unwrap();
        claimed
            .into_iter()
            .next()
            .flatten()
            .expect("a claimable edit")
    }

    /// Puts a result and completes the edit.
    pub(crate) async fn complete(&self, claimed: &Claimed) -> Key {
        complete(&self.store, &self.blobs, claimed).await
    }

    pub(crate) async fn fail(&self, edit: EditId, epoch: Epoch, class: FailureClass) {
        let failed = Failed {
            edit,
            epoch,
            failure: Failure::new(class, "test", "as the test wants it"),
        };
        assert!(self.store.edits_fail(&[failed]).await.unwrap()[0].is_applied());
    }

    pub(crate) async fn view(&self, tenant: TenantId, edit: EditId) -> EditView {
        self.store
            .edit_get(tenant, edit)
            .await
            .unwrap()
            .expect("the edit")
    }

    /// Waits until the edit is in this state.
    pub(crate) async fn reaches(
        &self,
        tenant: TenantId,
        edit: EditId,
        state: StateName,
    ) -> EditView {
        limekiln_testbed::until_some(&format!("an edit that is {state}"), PATIENCE, async || {
            let view = self.view(tenant, edit).await;
            (view.state == state).then_some(view)
        })
        .await
    }
}

/// A coordinator in this process. Dropped, it dies in the middle of whatever it does.
pub(crate) struct Coordinator {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Coordinator {
    /// Stops it as a deploy would.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, &mut self.task)
            .await
            .expect("an end")
            .unwrap()
            .unwrap();
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Settings under which nothing happens by itself but what the test asks for.
pub(crate) fn settings() -> Settings {
    Settings {
        lease_ttl: Duration::from_millis(300),
        min_window: 4,
        release_tick: Duration::from_millis(50),
        release_idle: Duration::from_millis(100),
        upkeep_every: Duration::from_millis(50),
        gauges_every: Duration::from_millis(100),
        retention: Retention {
            prune_every: NEVER,
            sweep_every: NEVER,
            ..Retention::default()
        },
        webhooks: Webhooks {
            backoff: Duration::from_millis(10),
            allow_private: true,
            ..Webhooks::default()
        },
    }
}

pub(crate) fn model() -> ModelName {
    "rooms".parse().unwrap()
}

pub(crate) async fn tenant(store: &Store) -> TenantId {
    let name = format!("tenant-{}", NAMES.fetch_add(1, Ordering::Relaxed));
    store
        .tenant_create(&name, &Limits::UNLIMITED)
        .await
        .unwrap()
        .id
}

pub(crate) async fn image(store: &Store, blobs: &Blobs, tenant: TenantId) -> ImageId {
    let bytes = NAMES
        .fetch_add(1, Ordering::Relaxed)
        .to_string()
        .into_bytes();
    let digest = Digest::of(&bytes);
    let key = Key::image(tenant, &digest);
    let stored = blobs.put(&key, bytes.into(), "image/png").await.unwrap();
    let image = NewImage {
        key: key.to_string(),
        digest,
        media_type: "image/png".to_owned(),
        bytes: stored.bytes,
        width: 1,
        height: 1,
    };
    store.image_create(tenant, &image).await.unwrap().id
}

pub(crate) fn submission(tenant: TenantId, image: ImageId) -> Submission {
    Submission::new(tenant, image, model(), Spec::new("make the sofa red"))
}

/// A turn on another edit's result.
pub(crate) fn turn(tenant: TenantId, parent: EditId) -> Submission {
    submission(tenant, ImageId::new()).with_parent(parent)
}

pub(crate) async fn complete(store: &Store, blobs: &Blobs, claimed: &Claimed) -> Key {
    let key = Key::edit(claimed.tenant, claimed.edit, claimed.epoch, "result.png").unwrap();
    let stored = blobs
        .put(
            &key,
            claimed.edit.to_string().into_bytes().into(),
            "image/png",
        )
        .await
        .unwrap();
    let artifact = NewArtifact {
        kind: ArtifactKind::Result,
        key: key.to_string(),
        digest: stored.digest,
        bytes: stored.bytes,
        media_type: "image/png".to_owned(),
        width: Some(1),
        height: Some(1),
    };
    let completion = Completion {
        edit: claimed.edit,
        epoch: claimed.epoch,
        artifacts: vec![artifact],
        report: None,
        gpu_ms: 1,
    };
    assert!(store.edits_complete(&[completion]).await.unwrap()[0].is_applied());
    key
}

/// The next edit that is offered.
pub(crate) async fn offered(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(PATIENCE, consumer.next())
        .await
        .expect("an edit offered")
        .expect("an open broker")
}

/// A store on the same database through the proxy.
pub(crate) async fn through(home: &Home, proxy: &Proxy) -> Store {
    let url = proxy.before(&Postgres::shared().url(&home.database));
    let settings = limekiln_store::Settings {
        acquire_timeout: Duration::from_millis(500),
        ..limekiln_store::Settings::new(url)
    };
    Store::connect(&settings).await.unwrap()
}
