//! A gateway with everything behind it.

pub(crate) mod http;
pub(crate) mod pictures;
pub(crate) mod worker;

use std::net::SocketAddr;
use std::time::Duration;

use limekiln_blobs::{Blobs, Prefix, embedded};
use limekiln_broker::Broker;
use limekiln_coordinator::Submitter;
use limekiln_gateway::{Downloads, Services, Settings, State};
use limekiln_jobs::{EditId, ImageId, TenantId};
use limekiln_store::{Limits, Role, Store};
use limekiln_testbed::Postgres;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use http::{Reply, Request};

/// Longest wait for anything that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway, its services, two tenants.
pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) blobs: Blobs,
    pub(crate) state: State,
    pub(crate) tenant: TenantId,
    /// A key of `tenant`.
    pub(crate) key: String,
    /// A key of another tenant.
    pub(crate) other: String,
    /// An admin's key.
    pub(crate) admin: String,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: tokio::task::JoinHandle<Result<(), limekiln_gateway::Error>>,
    pool: sqlx::PgPool,
    _s3: embedded::Embedded,
    _dir: tempfile::TempDir,
}

impl Bed {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let url = Postgres::shared().database().await;
        Self::on(&url, change).await
    }

    /// On a database of that address.
    pub(crate) async fn on(url: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::connect(&limekiln_store::Settings::new(url))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let s3 = embedded::Embedded::start(dir.path(), 0).await.unwrap();
        let blobs = Blobs::connect(&s3.settings("limekiln")).await.unwrap();
        blobs.bucket_ensure().await.unwrap();
        let broker = Broker::local();
        let submitter = Submitter::new(store.clone(), broker.clone());
        let limits = Limits::UNLIMITED;
        let tenant = store.tenant_create("acme", &limits).await.unwrap().id;
        let stranger = store.tenant_create("other", &limits).await.unwrap().id;
        let mut secrets = Vec::new();
        for (tenant, role) in [
            (tenant, Role::Tenant),
            (stranger, Role::Tenant),
            (tenant, Role::Admin),
        ] {
            secrets.push(
                store
                    .key_create(tenant, role, "test")
                    .await
                    .unwrap()
                    .secret
                    .expose()
                    .to_owned(),
            );
        }
        let [key, other, admin] = <[String; 3]>::try_from(secrets).unwrap();
        let mut settings = Settings::new("rooms".parse().unwrap());
        settings.presets = ["fast", "paper"].map(str::to_owned).to_vec();
        settings.downloads = Downloads::Proxy;
        change(&mut settings);
        let services = Services {
            store: store.clone(),
            broker: broker.clone(),
            blobs: blobs.clone(),
            submitter,
            metrics: None,
        };
        let state = State::new(services, settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(limekiln_gateway::serve(
            listener,
            state.clone(),
            shutdown.clone(),
        ));
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(1)
            .connect(url)
            .await
            .unwrap();
        Self {
            address,
            store,
            broker,
            blobs,
            state,
            tenant,
            key,
            other,
            admin,
            shutdown,
            server,
            pool,
            _s3: s3,
            _dir: dir,
        }
    }

    /// A request with the tenant's key.
    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, path).key(&self.key)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request("POST", path).json(body)).await
    }

    pub(crate) async fn send(&self, request: Request) -> Reply {
        http::send(self.address, request).await
    }

    /// Uploads a small picture.
    pub(crate) async fn image(&self) -> ImageId {
        let reply = self
            .send(
                self.request("POST", "/v1/images")
                    .body("image/png", pictures::room()),
            )
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// Submits an edit of a new picture.
    pub(crate) async fn edit(&self) -> EditId {
        let image = self.image().await;
        let reply = self
            .post(
                "/v1/edits",
                &json!({"image": image, "instruction": "make the sofa red"}),
            )
            .await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// Rows of all tables that a request may write, and blobs.
    pub(crate) async fn stored(&self) -> (i64, usize) {
        let counted = "select (select count(*) from images) + (select count(*) from sessions) + (select count(*) from edits)
            + (select count(*) from edit_events) + (select count(*) from artifacts) + (select count(*) from webhooks)";
        let rows = sqlx::query(counted)
            .fetch_one(&self.pool)
            .await
            .unwrap()
            .get::<i64, _>(0);
        let blobs = self.blobs.list(&Prefix::all(), None, 1000).await.unwrap();
        (rows, blobs.blobs.len())
    }
}
