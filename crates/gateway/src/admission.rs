//! Who is let in: a bound on all requests, then a key, the tenant's share, and the key's bucket of requests.

use std::time::Duration;

use axum::extract::{self, Request};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use limekiln_store::Caller;

use crate::State;
use crate::auth;
use crate::keys::Quota;
use crate::problem::{Problem, ProblemCode, quota_headers};

/// Bounds the number of requests and the time of each. For requests without a large body.
pub(crate) async fn bounded(
    state: extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let limit = state.settings.timeouts.request;
    bounded_by(&state, limit, request, next).await
}

/// As [`bounded`], with time to upload a body.
pub(crate) async fn bounded_upload(
    state: extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let times = &state.settings.timeouts;
    bounded_by(&state, times.request + times.body, request, next).await
}

/// As [`bounded`], with time to upload a large file.
pub(crate) async fn bounded_file(
    state: extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let times = &state.settings.timeouts;
    bounded_by(&state, times.request + times.file, request, next).await
}

/// Looks at the key alone, for a request that bounds its own number and time.
pub(crate) async fn keyed(
    extract::State(state): extract::State<State>,
    mut request: Request,
    next: Next,
) -> Response {
    match known(&state, request.method(), request.headers()).await {
        Ok((caller, quota)) => {
            request.extensions_mut().insert(caller);
            with_quota(next.run(request).await, quota)
        }
        Err(problem) => problem.into_response(),
    }
}

async fn bounded_by(state: &State, limit: Duration, mut request: Request, next: Next) -> Response {
    let Ok(_permit) = state.requests.clone().try_acquire_owned() else {
        return Problem::plain(ProblemCode::Overloaded).into_response();
    };
    let answer = async {
        let (caller, quota) = known(state, request.method(), request.headers()).await?;
        let shares = &state.shares.requests;
        let _share = shares.take(caller.tenant, 1).ok_or_else(|| {
            Problem::share(
                ProblemCode::ConcurrencyLimit,
                shares.each(),
                "requests are under way",
            )
        })?;
        request.extensions_mut().insert(caller);
        Ok::<_, Problem>(with_quota(next.run(request).await, quota))
    };
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::new(
            ProblemCode::Timeout,
            format!("no answer within {} s", limit.as_secs()),
        )
        .into_response(),
    }
}

/// Who sends it, and what is left of the key's requests.
async fn known(
    state: &State,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(Caller, Quota), Problem> {
    let caller = auth::authenticate(state, method, headers).await?;
    let limits = &caller.limits;
    match state.buckets.take(
        caller.key,
        limits.requests_per_second,
        limits.requests_burst,
    ) {
        Ok(quota) => Ok((caller, quota)),
        Err((quota, wait)) => {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            let problem = Problem::new(
                ProblemCode::RequestRateLimit,
                format!("this key's next request is answered in {seconds} s"),
            );
            Err(problem.limited(quota, seconds))
        }
    }
}

/// The answer with what is left of the key's requests, unless it speaks of another limit.
fn with_quota(mut response: Response, quota: Quota) -> Response {
    quota_headers(response.headers_mut(), quota);
    response
}
