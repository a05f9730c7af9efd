//! Ending an edit before it ends by itself.

use axum::{Json, extract};
use limekiln_jobs::{EditId, EditView, StateName};
use limekiln_store::Cancel;

use crate::State;
use crate::auth::Tenant;
use crate::edits::read;
use crate::params::PathId;
use crate::problem::{Problem, ProblemCode};

/// Cancel an edit
///
/// The edit ends at once: whatever a worker still does for it has no effect. Cancelling it again is no error.
#[utoipa::path(
    post, path = "/v1/edits/{id}/cancel", operation_id = "cancelEdit", tag = "edits",
    params(("id" = EditId, Path, description = "Id of the edit")),
    responses((status = 200, description = "The edit, which is cancelled", body = EditView)),
    extensions(("x-problems" = json!([ProblemCode::EditNotFound, ProblemCode::EditEnded]))),
)]
pub(crate) async fn cancel(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<EditId>,
) -> Result<Json<EditView>, Problem> {
    match state.services.submitter.cancel(caller.tenant, id).await? {
        Cancel::Cancelled { .. } | Cancel::AlreadyEnded(StateName::Cancelled) => {
            Ok(Json(read::find(&state, caller.tenant, id).await?))
        }
        Cancel::AlreadyEnded(ended) => Err(Problem::new(
            ProblemCode::EditEnded,
            format!("the edit has {ended} already"),
        )),
        Cancel::Missing => Err(Problem::plain(ProblemCode::EditNotFound)),
    }
}
