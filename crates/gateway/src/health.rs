//! Whether the gateway lives, whether it can work, and what it counts.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use limekiln_blobs::Key;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use crate::State;
use crate::problem::{Code, Problem};

/// How old an answer of `/readyz` may be.
const AGE_MAX: Duration = Duration::from_millis(500);
/// No blob has this key; asking for it shows whether the store answers.
const PROBE: &str = "probe/readyz";

/// Whether each dependency can be used.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Whether all can.
    ready: bool,
    checks: Vec<Check>,
}

/// A dependency.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Check {
    /// Which.
    #[schema(example = "postgres")]
    name: &'static str,
    /// Whether it can be used.
    ok: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Check {
    fn new(name: &'static str, detail: Option<String>) -> Self {
        Self {
            name,
            ok: detail.is_none(),
            detail,
        }
    }
}

/// Whether the process lives
#[utoipa::path(
    get, path = "/healthz", operation_id = "getHealth", tag = "operations", security(()),
    responses((status = 200, description = "It does", content_type = "text/plain", body = String)),
)]
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// Whether Postgres, the broker and the blob store can be used
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "operations", security(()),
    responses(
        (status = 200, description = "All can", body = Ready),
        (status = 503, description = "Some can't", body = Ready),
    ),
)]
pub(crate) async fn ready(extract::State(state): extract::State<State>) -> Response {
    let mut checks = state.readiness().checks(&state).await;
    if state.closing().is_cancelled() {
        checks.push(Check::new("gateway", Some("shutting down".to_owned())));
    }
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Ready { ready, checks })).into_response()
}

/// What was found last, so that asking often costs little: anybody may ask.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Vec<Check>)>>);

impl Readiness {
    async fn checks(&self, state: &State) -> Vec<Check> {
        let mut known = self.0.lock().await;
        if let Some((at, checks)) = &*known
            && at.elapsed() < AGE_MAX
        {
            return checks.clone();
        }
        let checks = look(state).await;
        *known = Some((Instant::now(), checks.clone()));
        checks
    }
}

async fn look(state: &State) -> Vec<Check> {
    let limit = state.settings().timeouts.ready;
    let late = || Some(format!("no answer within {} s", limit.as_secs_f32()));
    let postgres = async {
        match timeout(limit, state.store().schema_check()).await {
            Ok(outcome) => outcome.err().map(|error| error.to_string()),
            Err(_) => late(),
        }
    };
    let blobs = async {
        let probe: Key = match PROBE.parse() {
            Ok(probe) => probe,
            Err(error) => return Some(format!("{error}")),
        };
        match timeout(limit, state.blobs().head(&probe)).await {
            Ok(outcome) => outcome.err().map(|error| error.to_string()),
            Err(_) => late(),
        }
    };
    let (postgres, blobs) = tokio::join!(postgres, blobs);
    let connected = state.broker().is_connected();
    let broker =
        (!connected).then(|| "no connection to RabbitMQ now; it is being restored".to_owned());
    vec![
        Check::new("postgres", postgres),
        Check::new("broker", broker),
        Check::new("blobs", blobs),
    ]
}

/// Figures for Prometheus
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "operations", security(()),
    responses((status = 200, description = "In Prometheus' text format", content_type = "text/plain", body = String)),
    extensions(("x-problems" = json!(["not_found"]))),
)]
pub(crate) async fn metrics(
    extract::State(state): extract::State<State>,
) -> Result<Response, Problem> {
    let metrics = state
        .metrics()
        .ok_or_else(|| Problem::new(Code::NotFound, "this gateway was started without metrics"))?;
    let content_type = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((content_type, metrics.render()).into_response())
}
