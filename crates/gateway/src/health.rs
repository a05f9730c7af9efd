//! Probes and metrics.

use axum::extract::FromRef;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, extract, routing};
use limekiln_jobs::api::Readiness;

use crate::State;
use crate::problem::{Problem, ProblemCode};
use crate::status::Status;

impl FromRef<State> for Status {
    fn from_ref(state: &State) -> Self {
        state.status.clone()
    }
}

/// The status port of a process that has no API: `/healthz`, `/readyz` in detail, `/metrics`.
pub fn status_router(status: Status) -> Router {
    Router::new()
        .route("/healthz", routing::get(health))
        .route("/readyz", routing::get(ready_in_detail))
        .route("/metrics", routing::get(metrics))
        .with_state(status)
}

/// Say whether the process lives
#[utoipa::path(
    get, path = "/healthz", operation_id = "getHealth", tag = "operations", security(()),
    responses((status = 200, description = "The process lives", content_type = "text/plain", body = String)),
)]
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// Say whether the gateway can serve requests
///
/// The status port says in more detail what it can use.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "operations", security(()),
    responses(
        (status = 200, description = "It can", body = Readiness),
        (status = 503, description = "It can't: Postgres is away, or the gateway is shutting down", body = Readiness),
    ),
)]
pub(crate) async fn ready(extract::State(status): extract::State<Status>) -> Response {
    answer(status.brief().await)
}

/// Say whether the process can work, and which services it can use
///
/// It is ready while Postgres answers. While RabbitMQ or S3 is away it is degraded: what needs them fails or waits.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "operations", security(()),
    responses(
        (status = 200, description = "It can work", body = Readiness),
        (status = 503, description = "It can't: Postgres is away, or the process is starting or shutting down", body = Readiness),
    ),
)]
pub(crate) async fn ready_in_detail(extract::State(status): extract::State<Status>) -> Response {
    answer(status.whole().await)
}

fn answer(readiness: Readiness) -> Response {
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}

/// Metrics for Prometheus
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "operations", security(()),
    responses((status = 200, description = "The metrics in Prometheus' text format", content_type = "text/plain", body = String)),
    extensions(("x-problems" = json!([ProblemCode::NotFound]))),
)]
pub(crate) async fn metrics(
    extract::State(status): extract::State<Status>,
) -> Result<Response, Problem> {
    let metrics = status.metrics().await.ok_or_else(|| {
        Problem::new(
            ProblemCode::NotFound,
            "this process was started without metrics",
        )
    })?;
    let content_type = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((content_type, metrics).into_response())
}
