//! `/metrics`, `/healthz` and `/readyz` of processes that have no API of their own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::services::Services;

/// How long Postgres may take to answer a readiness probe.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves these routes until `shutdown`; does nothing without an address. `/readyz` answers 503 until `started` is
/// cancelled, and then says whether Postgres answers.
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
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("--status: can't listen on {address}"))?;
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route(
            "/readyz",
            get(move || ready(services.clone(), started.clone())),
        )
        .route("/metrics", get(async move || metrics.render()));
    tokio::spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the status server has ended");
        }
    });
    Ok(())
}

async fn ready(services: Services, started: CancellationToken) -> (StatusCode, String) {
    if !started.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned());
    }
    let checked = tokio::time::timeout(READY_TIMEOUT, services.store.schema_check()).await;
    match checked {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Err(error)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("Postgres: {error}\n"),
        ),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Postgres: no answer\n".to_owned(),
        ),
    }
}
