//! Files that an edit left behind.

use axum::extract;
use axum::http::HeaderMap;
use axum::response::Response;
use limekiln_jobs::{ArtifactKind, EditId, StateName, TenantId};
use limekiln_store::ArtifactRef;

use crate::State;
use crate::auth::Tenant;
use crate::download::{self, Blob};
use crate::edits::read;
use crate::params::PathId;
use crate::problem::{Problem, ProblemCode};

/// One route for each kind: a placeholder for the kind would match the paths of `events` and `cancel` too.
macro_rules! artifacts {
    ($($name:ident $kind:ident $path:literal $id:literal $media_type:literal $body:ty, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[utoipa::path(
            get, path = $path, operation_id = $id, tag = "edits",
            params(("id" = EditId, Path, description = "Id of the edit")),
            responses(
                (status = 200, description = "The file", content(($body = $media_type))),
                (status = 304, description = "If-None-Match names the file's ETag"),
                (status = 307, description = "Location is an address of the file at the blob store, which works for some minutes and needs no key"),
            ),
            extensions(("x-problems" = json!([
                ProblemCode::EditNotFound, ProblemCode::ArtifactNotFound, ProblemCode::EditUnfinished,
                ProblemCode::EditEnded,
            ]))),
        )]
        pub(crate) async fn $name(
            extract::State(state): extract::State<State>,
            Tenant(caller): Tenant,
            PathId(id): PathId<EditId>,
            headers: HeaderMap,
        ) -> Result<Response, Problem> {
            respond(&state, caller.tenant, id, ArtifactKind::$kind, &headers).await
        }
    )*};
}

artifacts! {
    roi Roi "/v1/edits/{id}/roi" "getRoi" "image/png" Vec<u8>, "Download the region that was edited, in white";
    segments Segments "/v1/edits/{id}/segments" "getSegments" "image/png" Vec<u8>, "Download the segments, one color each";
    attention Attention "/v1/edits/{id}/attention" "getAttention" "image/png" Vec<u8>, "Download the attention map of the words that name what is edited";
    matte Matte "/v1/edits/{id}/matte" "getMatte" "image/png" Vec<u8>, "Download what says which pixels of the result are the input's own: those that are 0";
    report Report "/v1/edits/{id}/report" "getReport" "application/json" Object, "Download the engine's report";
}

async fn respond(
    state: &State,
    tenant: TenantId,
    id: EditId,
    kind: ArtifactKind,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let artifact = find(state, tenant, id, kind).await?;
    send(state, tenant, id, &artifact, headers).await
}

/// The artifact of the tenant's edit, or why there is none.
pub(crate) async fn find(
    state: &State,
    tenant: TenantId,
    id: EditId,
    kind: ArtifactKind,
) -> Result<ArtifactRef, Problem> {
    if let Some(artifact) = state.services.store.artifact_get(tenant, id, kind).await? {
        return Ok(artifact);
    }
    let edit = read::find(state, tenant, id).await?;
    Err(match edit.state {
        StateName::Succeeded => Problem::plain(ProblemCode::ArtifactNotFound),
        StateName::Failed | StateName::Cancelled => Problem::new(
            ProblemCode::EditEnded,
            format!("the edit has {}: it has no {kind}", edit.state),
        ),
        _ => Problem::new(
            ProblemCode::EditUnfinished,
            format!("the edit is {}: it has no {kind} yet", edit.state),
        ),
    })
}

/// The edit's result, or what stands for it: what a turn changed. Its width and height are the whole picture's.
pub(crate) async fn picture(
    state: &State,
    tenant: TenantId,
    id: EditId,
) -> Result<ArtifactRef, Problem> {
    let patch = state
        .services
        .store
        .artifact_get(tenant, id, ArtifactKind::Patch);
    match patch.await? {
        Some(patch) => Ok(patch),
        None => find(state, tenant, id, ArtifactKind::Result).await,
    }
}

/// Sends an artifact as it is stored.
pub(crate) async fn send(
    state: &State,
    tenant: TenantId,
    id: EditId,
    artifact: &ArtifactRef,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let name = format!("{id}-{}", artifact.kind.file_name());
    let blob = Blob {
        key: &artifact.key,
        digest: &artifact.digest,
        media_type: &artifact.media_type,
        name: &name,
        tenant,
    };
    download::answer(state, headers, blob).await
}
