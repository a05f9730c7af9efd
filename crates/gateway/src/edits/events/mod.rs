//! The stream of an edit's events: live, complete whatever gets lost, and resumable.
//!
//! The broker brings events at once and may lose some; Postgres has all of them. So a watcher first subscribes to the broker,
//! then reads what Postgres has, and reads again whenever a number is skipped, the broker lagged, or the poller saw a newer
//! event.

mod watcher;

use std::time::Duration;

use axum::extract;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use limekiln_jobs::api::SentEvent;
use limekiln_jobs::{EditId, TenantId};
use tokio::sync::OwnedSemaphorePermit;

use crate::State;
use crate::auth::Tenant;
use crate::edits::read;
use crate::params::{LastEventId, PathId};
use crate::problem::{Problem, ProblemCode};
use crate::shares::Share;

pub(crate) use watcher::{Message, Watcher};

/// How long a reader waits before it connects again.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// Headers of a stream of events.
pub(crate) const HEADERS: [(HeaderName, &str); 2] = [
    (header::CACHE_CONTROL, "no-store"),
    // nginx would buffer events otherwise.
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// Follow an edit
///
/// A stream of server-sent events: `id` is the event's number, `event` its kind, `data` the event as JSON. After a lost
/// connection, send the last number as `Last-Event-ID`, as browsers do: no event is missed and none comes twice. Events of
/// the kind `preview` have no number and are not stored. The stream ends after the edit's last event, and with its key; with
/// the number of the last event the answer is 204.
#[utoipa::path(
    get, path = "/v1/edits/{id}/events", operation_id = "watchEdit", tag = "edits",
    params(
        ("id" = EditId, Path, description = "Id of the edit"),
        ("Last-Event-ID" = Option<String>, Header, description = "Number of the last event that was received", pattern = "^[0-9]{1,15}$"),
    ),
    responses(
        (status = 200, description = "The events", content((SentEvent = "text/event-stream"))),
        (status = 204, description = "The edit has ended, and all its events were received"),
    ),
    extensions(("x-problems" = json!([ProblemCode::EditNotFound, ProblemCode::StreamLimit]))),
)]
pub(crate) async fn watch(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<EditId>,
    LastEventId(last): LastEventId,
) -> Result<Response, Problem> {
    let permits = permits(&state, caller.tenant)?;
    // Looked up first, so that a stranger's edit costs no subscription. The watcher reads what happens until it subscribes.
    let view = read::find(&state, caller.tenant, id).await?;
    let sent = last.unwrap_or(0).min(view.seq);
    // A state that is not known here has ended where it has a time of its end.
    let ended = view.state.is_terminal() || view.finished_at.is_some();
    if last.is_some() && sent == view.seq && ended {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let watcher = Watcher::start(&state, id, sent).await;
    let held = (permits, state.key_lives.watch(caller.key));
    let messages = stream::unfold((watcher, held), |(mut watcher, held)| async move {
        let message = tokio::select! {
            message = watcher.next() => message?,
            () = held.1.ended() => return None,
        };
        Some((event(&message), (watcher, held)))
    });
    let retry = stream::iter([Ok(Event::default().retry(RETRY))]);
    // A comment during silence shows both sides that the other is still there.
    let keep_alive = KeepAlive::new().interval(state.settings.timeouts.keep_alive);
    let sse = Sse::new(retry.chain(messages)).keep_alive(keep_alive);
    Ok((HEADERS, sse).into_response())
}

/// What an open stream holds.
pub(crate) fn permits(
    state: &State,
    tenant: TenantId,
) -> Result<(OwnedSemaphorePermit, Share), Problem> {
    let shares = &state.shares.watchers;
    let share = shares.take(tenant, 1).ok_or_else(|| {
        Problem::share(ProblemCode::StreamLimit, shares.each(), "streams are open")
    })?;
    let permit = state.watchers.clone().try_acquire_owned().map_err(|_| {
        let detail = "too many streams are open: try again later";
        Problem::new(ProblemCode::Overloaded, detail)
    })?;
    Ok((permit, share))
}

fn event(message: &Message) -> Result<Event, axum::Error> {
    match message {
        Message::Event(event) => Event::default()
            .id(event.seq.to_string())
            .event(event.kind.as_str())
            .json_data(event),
        Message::Preview(live) => Event::default().event("preview").json_data(live.as_ref()),
    }
}
