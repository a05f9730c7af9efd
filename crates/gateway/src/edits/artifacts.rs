//! What an edit left behind.

use axum::extract;
use axum::http::HeaderMap;
use axum::response::Response;
use limekiln_jobs::{ArtifactKind, EditId, StateName};

use crate::State;
use crate::caller::Tenant;
use crate::download::{self, Blob};
use crate::edits::read;
use crate::params::{Artifact, Id};
use crate::problem::{Code, Problem};

/// Download the result, or how it came about
///
/// `result` is the edited picture, `roi` the region that was edited, `segments`, `attention` and `overlay` how it was
/// found, `report` what the engine did.
#[utoipa::path(
    get, path = "/v1/edits/{id}/{artifact}", operation_id = "getArtifact", tag = "edits",
    params(
        ("id" = EditId, Path, description = "The edit"),
        ("artifact" = ArtifactKind, Path, description = "Which artifact"),
    ),
    responses(
        (status = 200, description = "Its bytes", content((Vec<u8> = "image/png"), (Object = "application/json"))),
        (status = 304, description = "Unchanged since If-None-Match"),
        (status = 307, description = "At the blob store, for a while"),
    ),
    extensions(("x-problems" = json!([
        "parameter_invalid", "edit_not_found", "artifact_not_found", "edit_unfinished", "edit_ended",
    ]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Id(id): Id<EditId>,
    Artifact(kind): Artifact,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(artifact) = state.store().artifact_get(caller.tenant, id, kind).await? else {
        let edit = read::find(&state, caller.tenant, id).await?;
        return Err(match edit.state {
            StateName::Succeeded => Problem::plain(Code::ArtifactNotFound),
            StateName::Failed | StateName::Cancelled => Problem::new(
                Code::EditEnded,
                format!("the edit has {}: it has no {kind}", edit.state),
            ),
            _ => Problem::new(
                Code::EditUnfinished,
                format!("the edit is {}: it has no {kind} yet", edit.state),
            ),
        });
    };
    let name = format!("{id}-{}", kind.file_name());
    let blob = Blob {
        key: &artifact.key,
        digest: &artifact.digest,
        media_type: &artifact.media_type,
        name: &name,
    };
    download::answer(&state, &headers, blob).await
}
