//! What happens around every request: an id, a span, metrics, and problem documents for errors that have none.

use std::time::Instant;

use axum::extract::{self, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use limekiln_broker::trace;
use tracing::Instrument;
use uuid::Uuid;

use crate::State;
use crate::openai;
use crate::problem::{self, Problem, ProblemCode};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer: the request's id, span and metrics.
pub(crate) async fn observe(
    extract::State(state): extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = Uuid::now_v7();
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let openai = openai::speaks(request.uri().path());
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
    let mut response = span.in_scope(|| with_problem(&state, response, openai));
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

/// The method as a label of metrics. Clients can invent methods, which must not become labels.
fn method_label(method: &Method) -> &'static str {
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

/// Gives errors of the libraries below a problem document, and errors of OpenAI's routes its form.
fn with_problem(state: &State, response: Response, openai: bool) -> Response {
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    // Handlers say what is wrong in JSON; libraries answer text, or nothing.
    let ours = [problem::MEDIA_TYPE, "application/json"];
    let typed = response.headers().get(header::CONTENT_TYPE);
    let mut response = if typed.is_some_and(|value| ours.iter().any(|ours| value == ours)) {
        response
    } else {
        let (parts, _) = response.into_parts();
        let mut response = Problem::plain(code_of(parts.status)).into_response();
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
        if let Some(service) = problem.full_disk {
            state.status.disks().full(service);
        }
        if openai {
            response = openai::problem(&problem.clone(), response);
        }
    }
    response
}

/// The code for a status that a library below answered.
fn code_of(status: StatusCode) -> ProblemCode {
    match status.as_u16() {
        401 => ProblemCode::Unauthorized,
        403 => ProblemCode::Forbidden,
        404 => ProblemCode::NotFound,
        405 => ProblemCode::MethodNotAllowed,
        408 => ProblemCode::BodyTimeout,
        413 => ProblemCode::BodyTooLarge,
        415 => ProblemCode::MediaTypeUnsupported,
        422 => ProblemCode::RequestInvalid,
        429 => ProblemCode::RateLimited,
        503 => ProblemCode::Unavailable,
        504 => ProblemCode::Timeout,
        400..=499 => ProblemCode::Malformed,
        _ => ProblemCode::Internal,
    }
}

/// The answer to a request whose handler panicked. The panic hook has logged the panic.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request panicked");
    Problem::plain(ProblemCode::Internal).into_response()
}
