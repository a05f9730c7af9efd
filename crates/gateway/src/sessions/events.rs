//! The stream of a session's events.

use axum::extract;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use limekiln_jobs::SessionId;
use limekiln_jobs::api::SentSessionEvent;

use super::not_found;
use super::watcher::{Message, Watcher};
use crate::State;
use crate::auth::Tenant;
use crate::edits::events::{HEADERS, RETRY, permits};
use crate::params::{LastEventId, PathId};
use crate::problem::{Problem, ProblemCode};

/// Follow a session
///
/// A stream of server-sent events of all turns, those that are posted later too, and of the head: `id` is the event's number in the
/// session, `event` its kind (`head` where the head moved), `data` the event as JSON. After a lost connection, send the last number
/// as `Last-Event-ID`, as browsers do: no event is missed and none comes twice. Events of the kind `preview` have no number and are
/// not stored. The stream ends when the session is deleted, and with its key.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/events", operation_id = "watchSession", tag = "sessions",
    params(
        ("id" = SessionId, Path, description = "Id of the session"),
        ("Last-Event-ID" = Option<String>, Header, description = "Number of the last event that was received", pattern = "^[0-9]{1,15}$"),
    ),
    responses((status = 200, description = "The events", content((SentSessionEvent = "text/event-stream")))),
    extensions(("x-problems" = json!([ProblemCode::SessionNotFound, ProblemCode::StreamLimit]))),
)]
pub(crate) async fn watch(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
    LastEventId(last): LastEventId,
) -> Result<Response, Problem> {
    let permits = permits(&state, caller.tenant)?;
    // Looked up first, so that a stranger's session costs no subscription.
    let store = &state.services.store;
    let newest = match store.session_get(caller.tenant, id).await? {
        Some(_) => store.session_events_heads(&[id]).await?,
        None => return Err(not_found()),
    };
    let newest = newest.first().map_or(0, |(_, newest)| *newest);
    let watcher = Watcher::start(&state, id, last.unwrap_or(0).min(newest)).await;
    let held = (permits, state.key_lives.watch(caller.key));
    let messages = stream::unfold((watcher, held), |(mut watcher, held)| async move {
        let message = tokio::select! {
            message = watcher.next() => message?,
            () = held.1.ended() => return None,
        };
        Some((event(&message), (watcher, held)))
    });
    let retry = stream::iter([Ok(Event::default().retry(RETRY))]);
    let keep_alive = KeepAlive::new().interval(state.settings.timeouts.keep_alive);
    let sse = Sse::new(retry.chain(messages)).keep_alive(keep_alive);
    Ok((HEADERS, sse).into_response())
}

fn event(message: &Message) -> Result<Event, axum::Error> {
    match message {
        Message::Event(event) => {
            let kind = event
                .turn
                .as_ref()
                .map_or("head", |turn| turn.kind.as_str());
            let id = event.seq.to_string();
            Event::default().id(id).event(kind).json_data(event)
        }
        Message::Preview(live) => Event::default().event("preview").json_data(live.as_ref()),
    }
}
