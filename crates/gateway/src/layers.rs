//! Around every request: an id, a span, figures, a time limit, room; and problems for whatever fails without one.

use std::time::{Duration, Instant};

use axum::extract::{self, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use limekiln_broker::trace;
use tracing::Instrument;
use uuid::Uuid;

use crate::State;
use crate::openai;
use crate::problem::{self, Code, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = Uuid::now_v7();
    let method = known(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let openai = request.uri().path() == openai::PATH;
    let span =
        tracing::info_span!("http", request = %id, method, route, tenant = tracing::field::Empty);
    if let Some(Ok(parent)) = request
        .headers()
        .get("traceparent")
        .map(HeaderValue::to_str)
    {
        trace::adopt(&span, parent);
    }
    let response = next.run(request).instrument(span.clone()).await;
    let mut response = span.in_scope(|| explained(response, openai));
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let (status, seconds) = (response.status(), started.elapsed().as_secs_f64());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), seconds, "answered"));
    metrics::counter!("limekiln_http_requests_total",
        "method" => method, "route" => route.clone(), "status" => status.as_str().to_owned())
    .increment(1);
    metrics::histogram!("limekiln_http_seconds", "method" => method, "route" => route)
        .record(seconds);
    response
}

/// Methods become labels: only those that exist.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Errors of the libraries below get a problem document too; those of the OpenAI route get OpenAI's words.
fn explained(response: Response, openai: bool) -> Response {
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    // A handler that answers JSON has said what is wrong; libraries answer text, or nothing.
    let told = [problem::MEDIA_TYPE, "application/json"];
    let typed = response.headers().get(header::CONTENT_TYPE);
    let mut response = if typed.is_some_and(|value| told.iter().any(|told| value == told)) {
        response
    } else {
        let (parts, _) = response.into_parts();
        let mut response = Problem::plain(Code::of_status(parts.status)).into_response();
        for name in [header::ALLOW, header::RETRY_AFTER] {
            if let Some(value) = parts.headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    };
    if let Some(problem) = response.extensions().get::<Problem>() {
        metrics::counter!("limekiln_http_problems_total", "code" => problem.code.as_str())
            .increment(1);
        tracing::debug!(
            code = problem.code.as_str(),
            detail = problem.detail,
            "refused"
        );
        if openai {
            response = openai::reworded(&problem.clone(), response);
        }
    }
    response
}

/// What a panic becomes. The hook has logged it.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request panicked");
    Problem::plain(Code::Internal).into_response()
}

/// Room for one more request, and the time it may take: requests that read no large body.
pub(crate) async fn brief(state: extract::State<State>, request: Request, next: Next) -> Response {
    let limit = state.settings().timeouts.request;
    bounded(&state, limit, request, next).await
}

/// As [`brief`], and the time of a body.
pub(crate) async fn uploading(
    state: extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let times = &state.settings().timeouts;
    bounded(&state, times.request + times.body, request, next).await
}

async fn bounded(state: &State, limit: Duration, request: Request, next: Next) -> Response {
    let Ok(_permit) = state.requests().clone().try_acquire_owned() else {
        return Problem::plain(Code::Overloaded).into_response();
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Code::Timeout,
            format!("no answer within {} s", limit.as_secs()),
        )
        .into_response(),
    }
}
