//! Sessions: turns that build on each other, kept together.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use limekiln_jobs::SessionId;
use limekiln_store::Session;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::State;
use crate::caller::Tenant;
use crate::params::Id;
use crate::problem::{Code, Problem};

/// A session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// Its id: name it as `session` of an edit.
    id: SessionId,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When an edit last came in.
    #[serde(with = "time::serde::rfc3339")]
    used_at: OffsetDateTime,
    links: SessionLinks,
}

/// Paths of a session on this server.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionLinks {
    #[serde(rename = "self")]
    this: String,
    /// Its edits, newest first.
    edits: String,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        let id = session.id;
        let links = SessionLinks {
            this: format!("/v1/sessions/{id}"),
            edits: format!("/v1/edits?session={id}"),
        };
        Self {
            id,
            created_at: session.created_at,
            used_at: session.used_at,
            links,
        }
    }
}

/// Start a session
///
/// Images and results that its edits build on are kept while it is used.
#[utoipa::path(
    post, path = "/v1/sessions", operation_id = "createSession", tag = "sessions",
    responses((status = 201, description = "Started", body = SessionView, headers(("Location" = String, description = "Its address")))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
) -> Result<Response, Problem> {
    let session = state
        .store()
        .session_create(caller.tenant, SessionId::new())
        .await?;
    let view = SessionView::from(session);
    let location = [(header::LOCATION, view.links.this.clone())];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// Look at a session
#[utoipa::path(
    get, path = "/v1/sessions/{id}", operation_id = "getSession", tag = "sessions",
    params(("id" = SessionId, Path, description = "The session")),
    responses((status = 200, description = "The session", body = SessionView)),
    extensions(("x-problems" = json!(["parameter_invalid", "session_not_found"]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Id(id): Id<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let found = state.store().session_get(caller.tenant, id).await?;
    found
        .map(|session| Json(session.into()))
        .ok_or_else(|| Problem::plain(Code::SessionNotFound))
}
