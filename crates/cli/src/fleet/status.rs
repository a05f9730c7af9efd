//! The status port: `/metrics`, `/healthz`, `/readyz` in detail, and a gateway's admin routes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use limekiln_gateway::Status;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::services::Services;

/// How long each service may take to answer a readiness probe.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves the status of a process that has no API until `shutdown`; does nothing without an address. `/readyz` answers 503
/// until `started` is cancelled, and then says whether Postgres answers.
///
/// # Errors
///
/// When the address can't be listened on.
pub(crate) async fn start(
    address: Option<SocketAddr>,
    metrics: PrometheusHandle,
    services: Services,
    started: CancellationToken,
    shutdown: CancellationToken,
) -> Result<()> {
    let Some(address) = address else {
        return Ok(());
    };
    let Services {
        store,
        broker,
        blobs,
    } = services;
    let status = Status::new(
        (store, broker, blobs),
        READY_TIMEOUT,
        Some(metrics),
        started,
        shutdown.clone(),
    );
    let router = limekiln_gateway::status_router(status);
    serve(listen(address).await?, router, shutdown);
    Ok(())
}

/// Binds the address.
///
/// # Errors
///
/// When another process has it.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("--status: can't listen on {address}: name another address, or port 0 for any that is free")
    })
}

/// Serves these routes until `shutdown`.
pub(crate) fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    tokio::spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the status server has ended");
        }
    });
}
