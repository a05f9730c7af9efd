//! The stream of an edit's events: live as they come, whole whatever gets lost, resumable.
//!
//! The broker brings events at once and may lose some; Postgres has all of them. So a watcher first watches, then reads
//! what there was, and reads again whenever a number is skipped, the broker lagged, or the poller saw a newer one.

mod heads;
mod watcher;

use std::convert::Infallible;
use std::fmt::Write;
use std::time::Duration;

use axum::body::Body;
use axum::extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use limekiln_jobs::{EditEvent, EditId, Live};

use crate::State;
use crate::caller::Tenant;
use crate::edits::read;
use crate::openapi::SentEvent;
use crate::params::{Id, LastEventId};
use crate::problem::{Code, Problem};

pub(crate) use heads::Heads;
pub(crate) use watcher::{Heard, Watcher};

/// How long a reader waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);

/// Follow an edit
///
/// Server-sent events: `id` is the event's number, `event` its kind, `data` the event. After a break, send the last
/// number as `Last-Event-ID` (browsers do): nothing is missed or doubled. `preview` events have no id and are not kept.
/// The stream ends after the last event; coming back after that gives 204.
#[utoipa::path(
    get, path = "/v1/edits/{id}/events", operation_id = "watchEdit", tag = "edits",
    params(
        ("id" = EditId, Path, description = "The edit"),
        ("Last-Event-ID" = Option<String>, Header, description = "Number of the last event that was received", pattern = "^[0-9]{1,15}$"),
    ),
    responses(
        (status = 200, description = "Events, each with an EditEvent as data", content((SentEvent = "text/event-stream"))),
        (status = 204, description = "It has ended, and all its events were received"),
    ),
    extensions(("x-problems" = json!(["parameter_invalid", "edit_not_found"]))),
)]
pub(crate) async fn watch(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Id(id): Id<EditId>,
    LastEventId(last): LastEventId,
) -> Result<Response, Problem> {
    let permit = state.watchers().clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        Problem::new(
            Code::Overloaded,
            "too many streams are open: try again later",
        )
    })?;
    // First, so that a stranger's edit costs no binding; the number it has now is read again after watching began.
    let view = read::find(&state, caller.tenant, id).await?;
    let sent = last.unwrap_or(0).min(view.seq);
    if last.is_some() && sent == view.seq && view.state.is_terminal() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let watcher = Watcher::start(&state, id, sent).await;
    let open = Open {
        watcher,
        keep_alive: state.settings().timeouts.keep_alive,
        greeted: false,
        _permit: permit,
    };
    let body = Body::from_stream(stream::unfold(open, |mut open| async move {
        let text = open.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), open))
    }));
    let mut response = Response::new(body);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx would keep events until it has a page of them.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// An open stream.
struct Open {
    watcher: Watcher,
    keep_alive: Duration,
    greeted: bool,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Open {
    async fn next(&mut self) -> Option<String> {
        if !self.greeted {
            self.greeted = true;
            return Some(format!("retry: {}\n\n", RETRY.as_millis()));
        }
        match tokio::time::timeout(self.keep_alive, self.watcher.next()).await {
            // A comment: it shows both sides that the other is there.
            Err(_) => Some(":\n\n".to_owned()),
            Ok(None) => None,
            Ok(Some(Heard::Event(event))) => frame(&event),
            Ok(Some(Heard::Preview(live))) => preview(&live),
        }
    }
}

fn frame(event: &EditEvent) -> Option<String> {
    let data = serde_json::to_string(event).ok()?;
    let mut text = String::with_capacity(data.len() + 48);
    write!(
        text,
        "id: {}\nevent: {}\ndata: {data}\n\n",
        event.seq, event.kind
    )
    .ok()?;
    Some(text)
}

fn preview(live: &Live) -> Option<String> {
    let data = serde_json::to_string(live).ok()?;
    Some(format!("event: preview\ndata: {data}\n\n"))
}
