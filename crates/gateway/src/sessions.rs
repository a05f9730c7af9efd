//! `/v1/sessions`: edits that build on each other, kept together.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use limekiln_jobs::SessionId;
use limekiln_jobs::api::{SessionLinks, SessionView};
use limekiln_store::Session;

use crate::State;
use crate::auth::Tenant;
use crate::params::PathId;
use crate::problem::{Problem, ProblemCode};

fn view(session: Session) -> SessionView {
    SessionView {
        id: session.id,
        created_at: session.created_at,
        used_at: session.used_at,
        links: SessionLinks::new(session.id),
    }
}

/// Create a session
///
/// The images and results that its edits build on are kept as long as the session is used.
#[utoipa::path(
    post, path = "/v1/sessions", operation_id = "createSession", tag = "sessions",
    responses((status = 201, description = "The session was created", body = SessionView,
        headers(("Location" = String, description = "Path of the session")))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
) -> Result<Response, Problem> {
    let store = &state.services.store;
    let view = view(
        store
            .session_create(caller.tenant, SessionId::new())
            .await?,
    );
    let location = [(header::LOCATION, view.links.this.clone())];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// Show a session
#[utoipa::path(
    get, path = "/v1/sessions/{id}", operation_id = "getSession", tag = "sessions",
    params(("id" = SessionId, Path, description = "Id of the session")),
    responses((status = 200, description = "The session", body = SessionView)),
    extensions(("x-problems" = json!([ProblemCode::SessionNotFound]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let found = state.services.store.session_get(caller.tenant, id).await?;
    found
        .map(|session| Json(view(session)))
        .ok_or_else(|| Problem::plain(ProblemCode::SessionNotFound))
}
