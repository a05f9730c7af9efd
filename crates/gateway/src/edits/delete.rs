//! Deleting an edit that ended, with all that is left of it.

use axum::extract;
use axum::http::StatusCode;
use limekiln_jobs::EditId;
use limekiln_jobs::api::DeleteQuery;
use limekiln_store::Deleted;

use crate::State;
use crate::auth::Tenant;
use crate::params::{PathId, Query};
use crate::problem::{Problem, ProblemCode};

/// Delete an edit
///
/// Its instruction, events, results and unsent webhooks are gone with this answer, and its files within minutes. What it used
/// still counts in GET /v1/me. An edit that has not ended must be cancelled first. The image that it started from stays. An
/// Idempotency-Key that made it may make another. Deleting what is not there is no error, so a request may be sent again.
#[utoipa::path(
    delete, path = "/v1/edits/{id}", operation_id = "deleteEdit", tag = "edits",
    params(("id" = EditId, Path, description = "Id of the edit"), DeleteQuery),
    responses((status = 204, description = "There is no such edit any more")),
    extensions(("x-problems" = json!([ProblemCode::EditNotEnded, ProblemCode::EditInUse]))),
)]
pub(crate) async fn delete(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<EditId>,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let cascade = query.cascade.unwrap_or(false);
    let store = &state.services.store;
    match store.edit_delete(caller.tenant, id, cascade).await? {
        Deleted::Gone | Deleted::Missing => Ok(StatusCode::NO_CONTENT),
        Deleted::Live if cascade => Err(Problem::new(
            ProblemCode::EditNotEnded,
            "the edit, or a turn that builds on it, has not ended: cancel it first",
        )),
        Deleted::Live => Err(Problem::plain(ProblemCode::EditNotEnded)),
        Deleted::InUse if cascade => Err(Problem::new(
            ProblemCode::EditInUse,
            "more than 1,000 turns build on the edit: delete later ones first",
        )),
        Deleted::InUse => Err(Problem::plain(ProblemCode::EditInUse)),
    }
}
