//! Ending an edit before it ends itself.

use axum::{Json, extract};
use limekiln_jobs::{EditId, EditView, StateName};
use limekiln_store::Cancel;

use crate::State;
use crate::caller::Tenant;
use crate::edits::read;
use crate::params::Id;
use crate::problem::{Code, Problem};

/// Cancel an edit
///
/// At once: whatever a worker still does for it has no effect. Cancelling twice is as good as once.
#[utoipa::path(
    post, path = "/v1/edits/{id}/cancel", operation_id = "cancelEdit", tag = "edits",
    params(("id" = EditId, Path, description = "The edit")),
    responses((status = 200, description = "Cancelled", body = EditView)),
    extensions(("x-problems" = json!(["parameter_invalid", "edit_not_found", "edit_ended"]))),
)]
pub(crate) async fn cancel(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Id(id): Id<EditId>,
) -> Result<Json<EditView>, Problem> {
    match state.submitter().cancel(caller.tenant, id).await? {
        Cancel::Cancelled { .. } | Cancel::AlreadyEnded(StateName::Cancelled) => {
            Ok(Json(read::find(&state, caller.tenant, id).await?))
        }
        Cancel::AlreadyEnded(ended) => Err(Problem::new(
            Code::EditEnded,
            format!("the edit has {ended} already"),
        )),
        Cancel::Missing => Err(Problem::plain(Code::EditNotFound)),
    }
}
