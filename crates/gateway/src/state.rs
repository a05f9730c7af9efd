//! What every request works with.

use std::sync::Arc;

use limekiln_blobs::Blobs;
use limekiln_broker::Broker;
use limekiln_coordinator::Submitter;
use limekiln_store::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::body::Memory;
use crate::caller::Keys;
use crate::edits::Heads;
use crate::health::Readiness;
use crate::models::Fleet;

/// What a gateway stands on.
pub struct Services {
    /// Postgres.
    pub store: Store,
    /// RabbitMQ: live events in, cancels out.
    pub broker: Broker,
    /// S3.
    pub blobs: Blobs,
    /// Writes edits.
    pub submitter: Submitter,
    /// What `/metrics` shows; without it there is none.
    pub metrics: Option<PrometheusHandle>,
}

/// What every request works with; a clone is the same one.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    services: Services,
    settings: Settings,
    memory: Memory,
    requests: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    decodes: Arc<Semaphore>,
    keys: Keys,
    heads: Heads,
    fleet: Fleet,
    readiness: Readiness,
    closing: CancellationToken,
}

impl State {
    /// A gateway on `services`.
    pub fn new(services: Services, settings: Settings) -> Self {
        let limits = &settings.limits;
        let slots = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Self(Arc::new(Inner {
            memory: Memory::new(limits.upload_memory_bytes),
            requests: slots(limits.requests),
            watchers: slots(limits.watchers),
            waits: slots(limits.openai_waits),
            decodes: slots(limits.decodes),
            keys: Keys::default(),
            heads: Heads::default(),
            fleet: Fleet::default(),
            readiness: Readiness::default(),
            closing: CancellationToken::new(),
            services,
            settings,
        }))
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.services.store
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.0.services.broker
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.0.services.blobs
    }

    pub(crate) fn submitter(&self) -> &Submitter {
        &self.0.services.submitter
    }

    pub(crate) fn metrics(&self) -> Option<&PrometheusHandle> {
        self.0.services.metrics.as_ref()
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// One permit a request that is being answered.
    pub(crate) fn requests(&self) -> &Arc<Semaphore> {
        &self.0.requests
    }

    /// One permit an open stream of events.
    pub(crate) fn watchers(&self) -> &Arc<Semaphore> {
        &self.0.watchers
    }

    /// One permit a request of the OpenAI route.
    pub(crate) fn waits(&self) -> &Arc<Semaphore> {
        &self.0.waits
    }

    /// One permit a picture that is being decoded.
    pub(crate) fn decodes(&self) -> &Arc<Semaphore> {
        &self.0.decodes
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn heads(&self) -> &Heads {
        &self.0.heads
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Cancelled when the gateway stops: streams of events end.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }
}
