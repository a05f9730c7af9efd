//! Probes and metrics.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use limekiln_jobs::api::{Check, Readiness};

use crate::State;
use crate::problem::{Problem, ProblemCode};

/// Say whether the process lives
#[utoipa::path(
    get, path = "/healthz", operation_id = "getHealth", tag = "operations", security(()),
    responses((status = 200, description = "The process lives", content_type = "text/plain", body = String)),
)]
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// Say whether Postgres, the broker and the blob store can be used
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "operations", security(()),
    responses(
        (status = 200, description = "All of them can be used", body = Readiness),
        (status = 503, description = "Some of them can't be used, or the gateway is shutting down", body = Readiness),
    ),
)]
pub(crate) async fn ready(extract::State(state): extract::State<State>) -> Response {
    let mut checks = state.readiness.checks().await;
    if state.closing.is_cancelled() {
        checks.push(Check::new("gateway", Some("shutting down".to_owned())));
    }
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, checks })).into_response()
}

/// Metrics for Prometheus
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "operations", security(()),
    responses((status = 200, description = "The metrics in Prometheus' text format", content_type = "text/plain", body = String)),
    extensions(("x-problems" = json!([ProblemCode::NotFound]))),
)]
pub(crate) async fn metrics(
    extract::State(state): extract::State<State>,
) -> Result<Response, Problem> {
    let metrics = state.services.metrics.as_ref().ok_or_else(|| {
        Problem::new(
            ProblemCode::NotFound,
            "this gateway was started without metrics",
        )
    })?;
    let content_type = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((content_type, metrics.render()).into_response())
}
