//! What every request works with.

use std::sync::Arc;

use limekiln_blobs::Blobs;
use limekiln_broker::Broker;
use limekiln_coordinator::Submitter;
use limekiln_store::Store;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::Settings;

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
}

impl State {
    /// A gateway on `services`.
    pub fn new(services: Services, settings: Settings) -> Self {
        Self(Arc::new(Inner { services, settings }))
    }
}
