//! Turns, posted to a session.

use axum::extract;
use axum::response::Response;
use limekiln_jobs::SessionId;
use limekiln_jobs::api::{AcceptedEdit, TurnRequest};

use crate::auth::Tenant;
use crate::edits::submit::{Conditions, accept};
use crate::params::{IdempotencyKey, IfMatch, PathId, Trace};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

/// Post a turn
///
/// An edit that builds on the session's head, or on the turn that `parent` names, and is the head from then on. The turn that it
/// builds on may still be running: it then waits for it, and fails with it. With `If-Match` it is refused where the head has moved
/// meanwhile.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/edits", operation_id = "createTurn", tag = "sessions",
    params(
        ("id" = SessionId, Path, description = "Id of the session"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send a request again: the same key and body get the first answer again",
            min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$"),
        ("If-Match" = Option<String>, Header, description = "ETag that the session must have, with its quotes; `*` for any"),
    ),
    request_body = TurnRequest,
    responses((status = 202, description = "The turn was accepted", body = AcceptedEdit, headers(
        ("Location" = String, description = "Path of the edit"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` where the request was sent before with this key"),
    ))),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::OptionsInvalid,
        ProblemCode::IdempotencyKeyReused, ProblemCode::ImageNotFound, ProblemCode::MaskNotFound, ProblemCode::MaskInvalid,
        ProblemCode::ParentNotFound, ProblemCode::SessionNotFound, ProblemCode::ModelNotFound,
        ProblemCode::ParentEnded, ProblemCode::ParentElsewhere, ProblemCode::ImageElsewhere,
        ProblemCode::SegmentationNotFound, ProblemCode::SegmentationOutdated, ProblemCode::EditNotFound,
        ProblemCode::EditUnfinished, ProblemCode::EditEnded, ProblemCode::ArtifactNotFound,
        ProblemCode::SessionEmpty, ProblemCode::DepthLimit, ProblemCode::TurnsLimit, ProblemCode::HeadMoved,
        ProblemCode::RateLimited, ProblemCode::InFlightLimit, ProblemCode::StorageLimit,
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(session): PathId<SessionId>,
    IdempotencyKey(key): IdempotencyKey,
    IfMatch(version): IfMatch,
    Trace(trace): Trace,
    body::Json(request): body::Json<TurnRequest>,
) -> Result<Response, Problem> {
    let mut request = request.0;
    if request.session.is_some_and(|other| other != session) {
        let message = "must be that of the path, or left out";
        return Err(Problem::field("session", message));
    }
    request.session = Some(session);
    let conditions = Conditions {
        key,
        version,
        at_head: true,
        segments: false,
    };
    accept(&state, &caller, request, conditions, trace).await
}
