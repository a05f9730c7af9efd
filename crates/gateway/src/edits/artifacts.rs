//! What an edit left behind.

use axum::extract;
use axum::http::HeaderMap;
use axum::response::Response;
use limekiln_jobs::{ArtifactKind, EditId, StateName, TenantId};

use crate::State;
use crate::caller::Tenant;
use crate::download::{self, Blob};
use crate::edits::read;
use crate::params::Id;
use crate::problem::{Code, Problem};

/// One route for each: a placeholder in the path would take the addresses of `events` and `cancel` too.
macro_rules! artifacts {
    ($($name:ident $kind:ident $path:literal $id:literal $media_type:literal $body:ty, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[utoipa::path(
            get, path = $path, operation_id = $id, tag = "edits",
            params(("id" = EditId, Path, description = "The edit")),
            responses(
                (status = 200, description = "Its bytes", content(($body = $media_type))),
                (status = 304, description = "Unchanged since If-None-Match"),
                (status = 307, description = "At the blob store, for a while"),
            ),
            extensions(("x-problems" = json!([
                "parameter_invalid", "edit_not_found", "artifact_not_found", "edit_unfinished", "edit_ended",
            ]))),
        )]
        pub(crate) async fn $name(
            extract::State(state): extract::State<State>,
            Tenant(caller): Tenant,
            Id(id): Id<EditId>,
            headers: HeaderMap,
        ) -> Result<Response, Problem> {
            answer(&state, caller.tenant, id, ArtifactKind::$kind, &headers).await
        }
    )*};
}

artifacts! {
    result Result "/v1/edits/{id}/result" "getResult" "image/png" Vec<u8>, "Download the edited picture";
    roi Roi "/v1/edits/{id}/roi" "getRoi" "image/png" Vec<u8>, "Download the region that was edited: white inside";
    segments Segments "/v1/edits/{id}/segments" "getSegments" "image/png" Vec<u8>, "Download the segments, one color each";
    attention Attention "/v1/edits/{id}/attention" "getAttention" "image/png" Vec<u8>, "Download the attention map of the related words";
    overlay Overlay "/v1/edits/{id}/overlay" "getOverlay" "image/png" Vec<u8>, "Download the picture with the region marked";
    report Report "/v1/edits/{id}/report" "getReport" "application/json" Object, "Download what the engine did";
}

async fn answer(
    state: &State,
    tenant: TenantId,
    id: EditId,
    kind: ArtifactKind,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Some(artifact) = state.store().artifact_get(tenant, id, kind).await? else {
        let edit = read::find(state, tenant, id).await?;
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
    download::answer(state, headers, blob).await
}
