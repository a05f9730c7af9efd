//! Sessions made, shown, listed and renamed.

use axum::Json;
use axum::extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use limekiln_jobs::SessionId;
use limekiln_jobs::api::{
    SessionChange, SessionPage, SessionQuery, SessionRequest, SessionTree, SessionView, title_check,
};
use limekiln_jobs::session::SESSIONS_MAX;
use limekiln_store::{NewSession, SessionCreated};

use super::{etag, not_found, tagged};
use crate::auth::Tenant;
use crate::params::{self, PathId, Query};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

/// Create a session
///
/// A session is a tree of edits that grows from one picture: each turn builds on another one's result, any turn can be gone back
/// to, and nothing is lost on the way. The pictures and results of its turns are kept as long as the session is used. The body
/// may be left out.
#[utoipa::path(
    post, path = "/v1/sessions", operation_id = "createSession", tag = "sessions",
    request_body = Option<SessionRequest>,
    responses((status = 201, description = "The session was created", body = SessionView, headers(
        ("Location" = String, description = "Path of the session"),
        ("ETag" = String, description = "Version of its head, for If-Match"),
    ))),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::ImageNotFound, ProblemCode::SessionsLimit,
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    request: Option<body::Json<SessionRequest>>,
) -> Result<Response, Problem> {
    let request = request.map(|body::Json(request)| request);
    let SessionRequest { image, title } = request.unwrap_or_default();
    let title = title.unwrap_or_default();
    title_check(&title).map_err(|error| Problem::invalid(vec![error]))?;
    let session = NewSession {
        id: SessionId::new(),
        title,
        image,
    };
    let store = &state.services.store;
    let view = match store.session_create(caller.tenant, session).await? {
        SessionCreated::Created(view) => view,
        SessionCreated::NoImage => return Err(Problem::plain(ProblemCode::ImageNotFound)),
        SessionCreated::TooMany => {
            let detail = format!("{SESSIONS_MAX} sessions are there: delete some");
            return Err(Problem::new(ProblemCode::SessionsLimit, detail));
        }
    };
    let headers = [
        (header::LOCATION, params::header(&view.links.this)),
        etag(view.version),
    ];
    Ok((StatusCode::CREATED, headers, Json(view)).into_response())
}

/// Show a session
///
/// All its turns and branches, as they are at one moment.
#[utoipa::path(
    get, path = "/v1/sessions/{id}", operation_id = "getSession", tag = "sessions",
    params(("id" = SessionId, Path, description = "Id of the session")),
    responses((status = 200, description = "The session", body = SessionTree,
        headers(("ETag" = String, description = "Version of its head, for If-Match")))),
    extensions(("x-problems" = json!([ProblemCode::SessionNotFound]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
) -> Result<Response, Problem> {
    let found = state.services.store.session_tree(caller.tenant, id).await?;
    let tree = found.ok_or_else(not_found)?;
    Ok(tagged(tree.session.version, tree))
}

/// List sessions, newest first
#[utoipa::path(
    get, path = "/v1/sessions", operation_id = "listSessions", tag = "sessions",
    params(SessionQuery),
    responses((status = 200, description = "A page of sessions", body = SessionPage)),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Query(query): Query<SessionQuery>,
) -> Result<Json<SessionPage>, Problem> {
    let limit = params::limit(query.limit)?;
    let cursor = query.cursor.map(|text| params::id("cursor", &text));
    let store = &state.services.store;
    let page = store
        .sessions_list(caller.tenant, cursor.transpose()?, limit)
        .await?;
    Ok(Json(page))
}

/// Rename a session
#[utoipa::path(
    patch, path = "/v1/sessions/{id}", operation_id = "renameSession", tag = "sessions",
    params(("id" = SessionId, Path, description = "Id of the session")),
    request_body = SessionChange,
    responses((status = 200, description = "The session", body = SessionView,
        headers(("ETag" = String, description = "Version of its head, for If-Match")))),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::SessionNotFound,
    ]))),
)]
pub(crate) async fn rename(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
    body::Json(change): body::Json<SessionChange>,
) -> Result<Response, Problem> {
    title_check(&change.title).map_err(|error| Problem::invalid(vec![error]))?;
    let store = &state.services.store;
    let renamed = store
        .session_rename(caller.tenant, id, &change.title)
        .await?;
    let view = renamed.ok_or_else(not_found)?;
    Ok(tagged(view.version, view))
}
