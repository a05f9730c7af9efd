//! The stream of a catalog's progress.

use std::time::Duration;

use axum::extract;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use limekiln_jobs::BatchId;
use limekiln_jobs::api::{CatalogView, SentCatalogEvent};
use limekiln_jobs::catalog::CatalogState;
use tokio::time::sleep;

use super::not_found;
use crate::State;
use crate::auth::Tenant;
use crate::edits::events::{HEADERS, RETRY, permits};
use crate::params::{LastEventId, PathId};
use crate::problem::{Problem, ProblemCode};

/// How often a catalog is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Follow a catalog
///
/// A stream of server-sent events: whenever the catalog changed, at most once a second, `data` is the catalog as JSON, `id` its
/// `version`, and `event` is `progress`, or `ended` at its end, after which the stream ends. After a lost connection, send the last
/// number as `Last-Event-ID`: nothing comes until the catalog changed since.
#[utoipa::path(
    get, path = "/v1/catalogs/{id}/events", operation_id = "watchCatalog", tag = "catalogs",
    params(
        ("id" = BatchId, Path, description = "Id of the catalog"),
        ("Last-Event-ID" = Option<String>, Header, description = "Number of the last event that was received", pattern = "^[0-9]{1,15}$"),
    ),
    responses((status = 200, description = "The events", content((SentCatalogEvent = "text/event-stream")))),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound, ProblemCode::StreamLimit]))),
)]
pub(crate) async fn watch(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
    LastEventId(last): LastEventId,
) -> Result<Response, Problem> {
    let permits = permits(&state, caller.tenant)?;
    let first = state.services.store.catalog_get(caller.tenant, id).await?;
    let first = first.ok_or_else(not_found)?;
    let held = (permits, state.key_lives.watch(caller.key));
    let keep_alive = state.settings.timeouts.keep_alive;
    let begin = (state, last, Some(first), held);
    let messages = stream::unfold(begin, move |(state, mut sent, mut read, held)| async move {
        // After the last event.
        if sent == Some(u64::MAX) {
            return None;
        }
        let view = loop {
            if let Some(view) = read.take()
                && (sent.is_none_or(|sent| view.version > sent) || over(&view))
            {
                break view;
            }
            tokio::select! {
                () = state.closing.cancelled() => return None,
                () = held.1.ended() => return None,
                () = sleep(EVERY) => {}
            }
            // An outage is waited for; a catalog that is gone ends the stream.
            match state.services.store.catalog_get(caller.tenant, id).await {
                Ok(Some(view)) => read = Some(view),
                Ok(None) => return None,
                Err(error) => tracing::debug!(%error, "a catalog can't be read"),
            }
        };
        let ended = over(&view);
        let event = Event::default()
            .id(view.version.to_string())
            .event(if ended { "ended" } else { "progress" })
            .json_data(&view);
        sent = Some(if ended { u64::MAX } else { view.version });
        Some((event, (state, sent, None, held)))
    });
    let retry = stream::iter([Ok(Event::default().retry(RETRY))]);
    let sse = Sse::new(retry.chain(messages)).keep_alive(KeepAlive::new().interval(keep_alive));
    Ok((HEADERS, sse).into_response())
}

fn over(view: &CatalogView) -> bool {
    matches!(view.state, CatalogState::Ended | CatalogState::Cancelled)
}
