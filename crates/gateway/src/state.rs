//! What every request works with.

use std::ops::Deref;
use std::sync::Arc;

use limekiln_blobs::Blobs;
use limekiln_broker::Broker;
use limekiln_coordinator::Submitter;
use limekiln_store::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::keys::{Buckets, KeyCache, KeyLives, KeyUses};
use crate::made::MadeFiles;
use crate::memory::MemoryBudget;
use crate::poller::Poller;
use crate::sessions::SessionPoller;
use crate::settings::Settings;
use crate::shares::Shares;
use crate::status::Status;
use crate::worker_cache::WorkerCache;

/// What a form has beside its pictures, and memory that is taken in steps, at most.
const BODY_SLACK_BYTES: usize = 2 << 20;

/// The services that a gateway stands on.
pub struct Services {
    /// Postgres.
    pub store: Store,
    /// RabbitMQ, which brings live events and takes cancels.
    pub broker: Broker,
    /// S3.
    pub blobs: Blobs,
    /// Writes edits.
    pub submitter: Submitter,
    /// What `/metrics` shows; without it there is no such route.
    pub metrics: Option<PrometheusHandle>,
}

/// What every request works with. A clone is the same one.
#[derive(Clone)]
pub struct State(Arc<Shared>);

/// What all clones of a [`State`] share.
pub struct Shared {
    pub(crate) services: Services,
    pub(crate) settings: Settings,
    pub(crate) memory: MemoryBudget,
    /// One permit for each request that is being answered.
    pub(crate) requests: Arc<Semaphore>,
    /// One permit for each open stream of events.
    pub(crate) watchers: Arc<Semaphore>,
    /// One permit for each request of the OpenAI route.
    pub(crate) waits: Arc<Semaphore>,
    /// One permit for each picture that is being decoded.
    pub(crate) decodes: Arc<Semaphore>,
    /// What each tenant may hold of those permits.
    pub(crate) shares: TenantShares,
    pub(crate) keys: KeyCache,
    /// The bucket of requests of each key.
    pub(crate) buckets: Buckets,
    /// Ends streams with their key.
    pub(crate) key_lives: KeyLives,
    /// Writes when keys were last used.
    pub(crate) key_uses: KeyUses,
    pub(crate) poller: Poller,
    pub(crate) session_poller: SessionPoller,
    pub(crate) workers: WorkerCache,
    pub(crate) made: MadeFiles,
    /// Told when a batch has something to do.
    pub(crate) batches: Notify,
    pub(crate) status: Status,
    /// Cancelled when the gateway stops: streams of events end.
    pub(crate) closing: CancellationToken,
}

/// What each tenant may hold of what all share.
pub(crate) struct TenantShares {
    pub(crate) requests: Shares,
    pub(crate) watchers: Shares,
    pub(crate) waits: Shares,
    /// Bytes of bodies in memory.
    pub(crate) bodies: Shares,
    /// Downloads through the gateway, which hold connections.
    pub(crate) downloads: Shares,
}

impl State {
    /// The state of a gateway on `services`.
    pub fn new(services: Services, settings: Settings) -> Self {
        let (limits, timeouts) = (&settings.limits, &settings.timeouts);
        let permits =
            |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        let (store, closing) = (&services.store, CancellationToken::new());
        let started = CancellationToken::new();
        started.cancel();
        let status = Status::new(
            (
                store.clone(),
                services.broker.clone(),
                services.blobs.clone(),
            ),
            timeouts.ready,
            services.metrics.clone(),
            started,
            closing.clone(),
        );
        Self(Arc::new(Shared {
            memory: MemoryBudget::new(
                limits.upload_memory_bytes,
                limits.tenant_share,
                timeouts.memory,
            ),
            requests: permits(limits.requests),
            watchers: permits(limits.watchers),
            waits: permits(limits.openai_waits),
            decodes: permits(limits.decodes),
            shares: TenantShares {
                requests: Shares::new(limits.requests, limits.tenant_share),
                watchers: Shares::new(limits.watchers, limits.tenant_share),
                waits: Shares::new(limits.openai_waits, limits.tenant_share),
                // One form with two pictures must always fit, and the copies that its fields are.
                bodies: Shares::at_least(
                    limits.upload_memory_bytes,
                    limits.tenant_share,
                    2 * (2 * limits.upload_bytes + BODY_SLACK_BYTES),
                ),
                downloads: Shares::new(limits.connections, limits.tenant_share),
            },
            keys: KeyCache::new(timeouts.key_cache),
            buckets: Buckets::default(),
            key_lives: KeyLives::new(store.clone(), timeouts.key_cache, closing.clone()),
            key_uses: KeyUses::new(store.clone(), timeouts.key_use, closing.clone()),
            poller: Poller::new(store.clone(), timeouts.poll, closing.clone()),
            session_poller: SessionPoller::new(store.clone(), timeouts.poll, closing.clone()),
            workers: WorkerCache::new(store.clone()),
            made: MadeFiles::new(limits.made_bytes),
            batches: Notify::new(),
            status,
            closing,
            services,
            settings,
        }))
    }
}

impl Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
