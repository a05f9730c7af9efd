//! Deleting a session, with all that is left of its turns.

use axum::extract;
use axum::http::StatusCode;
use limekiln_jobs::SessionId;
use limekiln_store::Deleted;

use crate::State;
use crate::auth::Tenant;
use crate::params::PathId;
use crate::problem::{Problem, ProblemCode};

/// Delete a session
///
/// Turns that have not ended are cancelled. All turns, with their instructions, events, results and unsent webhooks, are gone with
/// this answer, and their files within minutes. The picture that the session started from stays. Deleting what is not there is no
/// error, so a request may be sent again.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", operation_id = "deleteSession", tag = "sessions",
    params(("id" = SessionId, Path, description = "Id of the session")),
    responses((status = 204, description = "There is no such session any more")),
    extensions(("x-problems" = json!([ProblemCode::SessionBusy, ProblemCode::EditInUse]))),
)]
pub(crate) async fn delete(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, Problem> {
    let submitter = &state.services.submitter;
    match submitter.session_delete(caller.tenant, id).await? {
        Deleted::Gone | Deleted::Missing => Ok(StatusCode::NO_CONTENT),
        Deleted::Live => Err(Problem::plain(ProblemCode::SessionBusy)),
        Deleted::InUse => Err(Problem::new(
            ProblemCode::EditInUse,
            "edits of another session build on turns of this one: delete those first",
        )),
    }
}
