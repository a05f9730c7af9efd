//! A gateway with everything behind it.

pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod pictures;
pub(crate) mod worker;

use std::net::SocketAddr;

use limekiln_blobs::{Blobs, Fsync, Prefix};
use limekiln_coordinator::Submitter;
use limekiln_fixture::TestContext;
use limekiln_gateway::{Downloads, Services, Settings, State};
use limekiln_jobs::api::Role;
use limekiln_jobs::{EditId, ImageId, TenantId};
use limekiln_store::{Component, Limits};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use http::{Reply, Request};

/// A gateway, its services, two tenants.
pub(crate) struct Gateway {
    pub(crate) context: TestContext,
    pub(crate) address: SocketAddr,
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
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::on(TestContext::new().await, change).await
    }

    /// As `limekiln dev`, whose blobs are files.
    pub(crate) async fn on_folder(change: impl FnOnce(&mut Settings)) -> Self {
        let context = TestContext::new().await;
        let folder = context.dir.path().join("blobs");
        let blobs = Blobs::folder(&folder, "limekiln", Fsync::Never)
            .await
            .unwrap();
        blobs.bucket_ensure().await.unwrap();
        Self::on(TestContext { blobs, ..context }, change).await
    }

    /// On these services.
    pub(crate) async fn on(context: TestContext, change: impl FnOnce(&mut Settings)) -> Self {
        let store = &context.store;
        let limits = Limits::UNLIMITED;
        let tenant = store.tenant_create("acme", &limits).await.unwrap().id;
        let stranger = store.tenant_create("other", &limits).await.unwrap().id;
        let key = async |tenant, role| {
            let key = store.key_create(tenant, role, "test").await.unwrap();
            key.secret.expose().to_owned()
        };
        let (own, other) = (
            key(tenant, Role::Tenant).await,
            key(stranger, Role::Tenant).await,
        );
        let admin = key(tenant, Role::Admin).await;
        let mut settings = Settings::new("rooms".parse().unwrap());
        settings.presets = ["fast", "paper"].map(str::to_owned).to_vec();
        settings.downloads = Downloads::Proxy;
        // As `limekiln dev`: everything on one port.
        settings.admin_public = true;
        settings.status_public = true;
        change(&mut settings);
        let store = context.in_role(Component::Gateway).await.store;
        let services = Services {
            store: store.clone(),
            broker: context.broker.clone(),
            blobs: context.blobs.clone(),
            submitter: Submitter::new(store, context.broker.clone()),
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
        Self {
            context,
            address,
            state,
            tenant,
            key: own,
            other,
            admin,
            shutdown,
            server,
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

    /// Sends a request to a status port of this gateway.
    pub(crate) async fn send_status(&self, request: Request) -> Reply {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = limekiln_gateway::operator_router(self.state.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let reply = http::send(address, request).await;
        serving.abort();
        reply
    }

    /// Replaces the tenant's limits.
    pub(crate) async fn limit(&self, limits: Limits) {
        let store = &self.context.store;
        let set = store.tenant_limits_set(self.tenant, &limits).await;
        assert!(set.unwrap().is_some());
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
        let rows = self.context.number(counted).await;
        let all = Prefix::all();
        let blobs = self.context.blobs.list(&all, None, 1000).await.unwrap();
        (rows, blobs.blobs.len())
    }
}
