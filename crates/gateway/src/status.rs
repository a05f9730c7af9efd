//! What a process says of itself on its status port. Gateways, coordinators and workers have the same one.

use std::sync::Arc;
use std::time::Duration;

use limekiln_blobs::Blobs;
use limekiln_broker::Broker;
use limekiln_jobs::api::{Check, Readiness};
use limekiln_store::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::disks::Disks;
use crate::readiness::ReadinessProbe;

/// How a process is, for probes, Prometheus and operators. A clone is the same one.
#[derive(Clone)]
pub struct Status(Arc<Inner>);

struct Inner {
    probe: ReadinessProbe,
    disks: Disks,
    metrics: Option<PrometheusHandle>,
    started: CancellationToken,
    stopping: CancellationToken,
}

impl Status {
    /// Of a process on these services, which have `timeout` to answer: ready once `started` is cancelled, until `stopping`
    /// is. `/metrics` shows `metrics`; without it there is no such route.
    pub fn new(
        (store, broker, blobs): (Store, Broker, Blobs),
        timeout: Duration,
        metrics: Option<PrometheusHandle>,
        started: CancellationToken,
        stopping: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            probe: ReadinessProbe::new(store, broker, blobs, timeout),
            disks: Disks::default(),
            metrics,
            started,
            stopping,
        }))
    }

    /// Whether the process can work, and nothing else.
    pub(crate) async fn brief(&self) -> Readiness {
        let mut checks = self.0.probe.required().await;
        checks.extend(self.process());
        Readiness::brief(Readiness::new(checks).ready)
    }

    /// Whether the process can work, and what it can use.
    pub(crate) async fn whole(&self) -> Readiness {
        let mut checks = self.0.probe.all().await;
        checks.extend(self.process());
        checks.extend(self.0.disks.check());
        Readiness::new(checks)
    }

    /// The metrics in Prometheus' text format, those of the checks included.
    pub(crate) async fn metrics(&self) -> Option<String> {
        let metrics = self.0.metrics.as_ref()?;
        self.0.probe.all().await;
        Some(metrics.render())
    }

    /// The disks that were full lately.
    pub(crate) fn disks(&self) -> &Disks {
        &self.0.disks
    }

    fn process(&self) -> Option<Check> {
        let detail = if self.0.stopping.is_cancelled() {
            "shutting down"
        } else if self.0.started.is_cancelled() {
            return None;
        } else {
            "starting"
        };
        Some(Check::required("process", Some(detail.to_owned())))
    }
}
