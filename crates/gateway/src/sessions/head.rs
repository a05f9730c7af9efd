//! The head of a session: undo, redo, and jumps.

use axum::extract;
use axum::response::Response;
use limekiln_jobs::SessionId;
use limekiln_jobs::api::{HeadRequest, HeadStep, SessionView};
use limekiln_jobs::session::Move;
use limekiln_store::{HeadTo, HeadWrite};

use super::{not_found, stuck, tagged};
use crate::auth::Tenant;
use crate::params::{IfMatch, PathId};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

/// Move a session's head
///
/// Undo, redo, or a jump to any turn or branch. No turn is changed by it, and none is lost.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/head", operation_id = "moveHead", tag = "sessions",
    params(
        ("id" = SessionId, Path, description = "Id of the session"),
        ("If-Match" = Option<String>, Header, description = "ETag that the session must have, with its quotes; `*` for any"),
    ),
    request_body = HeadRequest,
    responses((status = 200, description = "The session", body = SessionView,
        headers(("ETag" = String, description = "Version of its head, for If-Match")))),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::SessionNotFound, ProblemCode::TurnNotFound,
        ProblemCode::BranchNotFound, ProblemCode::TurnEnded, ProblemCode::NothingToUndo, ProblemCode::NothingToRedo,
        ProblemCode::HeadMoved,
    ]))),
)]
pub(crate) async fn post(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<SessionId>,
    IfMatch(version): IfMatch,
    body::Json(request): body::Json<HeadRequest>,
) -> Result<Response, Problem> {
    request.validate().map_err(Problem::invalid)?;
    let to = match (request.step, request.branch) {
        (Some(HeadStep::Undo), _) => HeadTo::Move(Move::Undo),
        (Some(HeadStep::Redo), _) => HeadTo::Move(Move::Redo),
        (Some(HeadStep::Root), _) => HeadTo::Move(Move::To(None)),
        (None, Some(branch)) => HeadTo::Branch(branch),
        (None, None) => HeadTo::Move(Move::To(request.turn)),
    };
    let store = &state.services.store;
    let written = store.session_head(caller.tenant, id, &to, version).await?;
    let outcome = match &written {
        HeadWrite::Moved(_) => "moved",
        HeadWrite::Stale { .. } => "stale",
        _ => "refused",
    };
    metrics::counter!("limekiln_head_moves_total", "outcome" => outcome).increment(1);
    match written {
        HeadWrite::Moved(view) => {
            state.services.submitter.session_changed(id);
            Ok(tagged(view.version, view))
        }
        HeadWrite::Missing => Err(not_found()),
        HeadWrite::NoBranch => Err(Problem::plain(ProblemCode::BranchNotFound)),
        HeadWrite::Stale { version } => Err(Problem::head_moved(version)),
        HeadWrite::Stuck(why) => Err(stuck(why)),
    }
}
