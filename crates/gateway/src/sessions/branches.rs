//! Branches: names for turns.

use axum::Json;
use axum::extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use limekiln_jobs::SessionId;
use limekiln_jobs::api::{Branch, BranchChange, BranchRequest, branch_check};
use limekiln_store::Branched;

use super::{not_found, stuck};
use crate::auth::Tenant;
use crate::params::{PathId, PathName};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

/// Create a branch
///
/// A name for a turn, by default for the head. It stays there, whatever is posted, until it is moved.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/branches", operation_id = "createBranch", tag = "sessions",
    params(("id" = SessionId, Path, description = "Id of the session")),
    request_body = BranchRequest,
    responses((status = 201, description = "The branch", body = Branch)),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::SessionNotFound, ProblemCode::TurnNotFound,
        ProblemCode::TurnEnded, ProblemCode::BranchExists, ProblemCode::BranchesLimit,
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
    body::Json(request): body::Json<BranchRequest>,
) -> Result<Response, Problem> {
    branch_check("name", &request.name).map_err(|error| Problem::invalid(vec![error]))?;
    let store = &state.services.store;
    let created = store
        .branch_create(caller.tenant, id, &request.name, request.turn)
        .await?;
    let branch = done(created)?;
    Ok((StatusCode::CREATED, Json(branch)).into_response())
}

/// Move or rename a branch
#[utoipa::path(
    patch, path = "/v1/sessions/{id}/branches/{name}", operation_id = "changeBranch", tag = "sessions",
    params(
        ("id" = SessionId, Path, description = "Id of the session"),
        ("name" = String, Path, description = "Name of the branch", pattern = "^[a-z0-9][a-z0-9._-]{0,62}$"),
    ),
    request_body = BranchChange,
    responses((status = 200, description = "The branch", body = Branch)),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::SessionNotFound, ProblemCode::BranchNotFound,
        ProblemCode::TurnNotFound, ProblemCode::TurnEnded, ProblemCode::BranchExists,
    ]))),
)]
pub(crate) async fn change(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
    PathName(name): PathName,
    body::Json(change): body::Json<BranchChange>,
) -> Result<Json<Branch>, Problem> {
    if change.name.is_none() && change.turn.is_none() {
        return Err(Problem::field("name", "name, turn, or both must be given"));
    }
    if let Some(to) = &change.name {
        branch_check("name", to).map_err(|error| Problem::invalid(vec![error]))?;
    }
    let store = &state.services.store;
    let (to, turn) = (change.name.as_deref(), change.turn);
    let changed = store
        .branch_change(caller.tenant, id, &name, to, turn)
        .await?;
    done(changed).map(Json)
}

/// Delete a branch
///
/// The turns stay. Deleting what is not there is no error, so a request may be sent again.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}/branches/{name}", operation_id = "deleteBranch", tag = "sessions",
    params(
        ("id" = SessionId, Path, description = "Id of the session"),
        ("name" = String, Path, description = "Name of the branch", pattern = "^[a-z0-9][a-z0-9._-]{0,62}$"),
    ),
    responses((status = 204, description = "There is no such branch any more")),
    extensions(("x-problems" = json!([ProblemCode::SessionNotFound]))),
)]
pub(crate) async fn delete(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
    PathName(name): PathName,
) -> Result<StatusCode, Problem> {
    let store = &state.services.store;
    match store.branch_delete(caller.tenant, id, &name).await? {
        Branched::Done(_) | Branched::NoBranch => Ok(StatusCode::NO_CONTENT),
        other => done(other).map(|_| StatusCode::NO_CONTENT),
    }
}

fn done(branched: Branched) -> Result<Branch, Problem> {
    Err(match branched {
        Branched::Done(branch) => return Ok(branch),
        Branched::NoSession => not_found(),
        Branched::NoBranch => Problem::plain(ProblemCode::BranchNotFound),
        Branched::Exists => Problem::plain(ProblemCode::BranchExists),
        Branched::TooMany => Problem::plain(ProblemCode::BranchesLimit),
        Branched::Stuck(why) => stuck(why),
    })
}
