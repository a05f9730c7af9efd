//! The segments of a picture, an image or the result of an edit: made when asked for, for a user to choose from.

use axum::Json;
use axum::extract;
use axum::http::HeaderMap;
use axum::response::Response;
use limekiln_jobs::api::{AcceptedEdit, Parts, SegmentationRequest, SegmentationView};
use limekiln_jobs::{ArtifactKind, EditId, EditRequest, ImageId, TenantId};
use limekiln_store::{ArtifactRef, PictureId};

use crate::auth::Tenant;
use crate::edits::submit::{Conditions, accept};
use crate::edits::{artifacts, read};
use crate::params::{IdempotencyKey, PathId, Trace};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body, leaving};

/// The instruction of an edit that has none: what lists of edits show.
const INSTRUCTION: &str = "segments";

/// The routes of one kind of picture.
macro_rules! routes {
    ($module:ident $id:ty, $picture:ident, $path:literal $labels:literal $names:literal $missing:ident, $what:literal) => {
        pub(crate) mod $module {
            use super::*;

            #[doc = concat!("Segment ", $what)]
            ///
            /// The answer comes before the segments are made: follow the edit that it names, which counts, costs and is limited as any
            /// other, and then read the segmentation. The same model and preset make the same segments.
            #[utoipa::path(
                post, path = $path, operation_id = concat!("segment", $names), tag = "segmentations",
                summary = concat!("Segment ", $what),
                params(
                    ("id" = $id, Path, description = concat!("Id of ", $what)),
                    ("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send a request again: the same key and body get the first answer again",
                        min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$"),
                ),
                request_body = SegmentationRequest,
                responses((status = 202, description = "The segmentation was accepted", body = AcceptedEdit, headers(
                    ("Location" = String, description = "Path of the edit that makes it"),
                    ("Idempotency-Replayed" = Option<String>, description = "`true` where the request was sent before with this key"),
                ))),
                extensions(("x-problems" = json!([
                    ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::OptionsInvalid,
                    ProblemCode::IdempotencyKeyReused, ProblemCode::$missing, ProblemCode::ParentNotFound, ProblemCode::ModelNotFound,
                    ProblemCode::ParentEnded, ProblemCode::RateLimited, ProblemCode::InFlightLimit, ProblemCode::StorageLimit,
                ]))),
            )]
            pub(crate) async fn create(
                extract::State(state): extract::State<State>,
                Tenant(caller): Tenant,
                PathId(id): PathId<$id>,
                IdempotencyKey(key): IdempotencyKey,
                Trace(trace): Trace,
                body::Json(request): body::Json<SegmentationRequest>,
            ) -> Result<Response, Problem> {
                let picture = PictureId::$picture(id);
                exists(&state, caller.tenant, picture).await?;
                let conditions = Conditions {
                    key,
                    version: None,
                    at_head: false,
                    segments: true,
                };
                accept(&state, &caller, edit(picture, request), conditions, trace).await
            }

            #[doc = concat!("Show the segments of ", $what)]
            ///
            /// Those of its newest segmentation.
            #[utoipa::path(
                get, path = $path, operation_id = concat!("get", $names, "Segmentation"), tag = "segmentations",
                summary = concat!("Show the segments of ", $what),
                params(("id" = $id, Path, description = concat!("Id of ", $what))),
                responses((status = 200, description = "The segmentation", body = SegmentationView)),
                extensions(("x-problems" = json!([
                    ProblemCode::$missing, ProblemCode::SegmentationNotFound, ProblemCode::ArtifactNotFound,
                ]))),
            )]
            pub(crate) async fn get(
                extract::State(state): extract::State<State>,
                Tenant(caller): Tenant,
                PathId(id): PathId<$id>,
            ) -> Result<Json<SegmentationView>, Problem> {
                let (made, _) = newest(&state, caller.tenant, PictureId::$picture(id)).await?;
                let labels = $labels.replace("{id}", &id.to_string());
                view(&state, caller.tenant, made, labels).await.map(Json)
            }

            #[doc = concat!("Download the segments of ", $what, " as a picture")]
            ///
            /// A cell of the grid is a pixel of 16 bits: the number of its segment.
            #[utoipa::path(
                get, path = $labels, operation_id = concat!("get", $names, "Labels"), tag = "segmentations",
                summary = concat!("Download the segments of ", $what, " as a picture"),
                params(("id" = $id, Path, description = concat!("Id of ", $what))),
                responses(
                    (status = 200, description = "The file", content((Vec<u8> = "image/png"))),
                    (status = 304, description = "If-None-Match names the file's ETag"),
                    (status = 307, description = "Location is an address of the file at the blob store, which works for some minutes and needs no key"),
                ),
                extensions(("x-problems" = json!([ProblemCode::$missing, ProblemCode::SegmentationNotFound]))),
            )]
            pub(crate) async fn labels(
                extract::State(state): extract::State<State>,
                Tenant(caller): Tenant,
                PathId(id): PathId<$id>,
                headers: HeaderMap,
            ) -> Result<Response, Problem> {
                let (made, labels) = newest(&state, caller.tenant, PictureId::$picture(id)).await?;
                artifacts::send(&state, caller.tenant, made, &labels, &headers).await
            }
        }
    };
}

routes!(images ImageId, Image, "/v1/images/{id}/segmentation" "/v1/images/{id}/segmentation/labels" "Image" ImageNotFound, "an image");
routes!(edits EditId, Edit, "/v1/edits/{id}/segmentation" "/v1/edits/{id}/segmentation/labels" "Result" EditNotFound, "an edit's result");

fn edit(picture: PictureId, request: SegmentationRequest) -> EditRequest {
    let (image, parent) = match picture {
        PictureId::Image(image) => (Some(image), None),
        PictureId::Edit(edit) => (None, Some(edit)),
    };
    EditRequest {
        image,
        parent,
        instruction: INSTRUCTION.to_owned(),
        preset: request.preset,
        model: request.model,
        size: request.size,
        ..EditRequest::default()
    }
}

async fn exists(state: &State, tenant: TenantId, picture: PictureId) -> Result<(), Problem> {
    match picture {
        PictureId::Image(image) => match state.services.store.image_get(tenant, image).await? {
            Some(_) => Ok(()),
            None => Err(Problem::plain(ProblemCode::ImageNotFound)),
        },
        PictureId::Edit(edit) => read::find(state, tenant, edit).await.map(drop),
    }
}

/// The newest segmentation of a picture: the edit that made it, and its labels.
pub(crate) async fn newest(
    state: &State,
    tenant: TenantId,
    picture: PictureId,
) -> Result<(EditId, ArtifactRef), Problem> {
    let store = &state.services.store;
    if let Some(found) = store.segmentation_get(tenant, picture).await? {
        return Ok(found);
    }
    exists(state, tenant, picture).await?;
    Err(Problem::plain(ProblemCode::SegmentationNotFound))
}

async fn view(
    state: &State,
    tenant: TenantId,
    id: EditId,
    labels: String,
) -> Result<SegmentationView, Problem> {
    let parts = artifacts::find(state, tenant, id, ArtifactKind::Parts).await?;
    let memory = &state.memory;
    let _held = memory.share(2 * parts.bytes, leaving::too_large).await?;
    let json = leaving::read(state, &parts.key, &parts.digest).await?;
    let parts: Parts = serde_json::from_slice(&json).map_err(|error| Problem::internal(&error))?;
    Ok(SegmentationView { id, parts, labels })
}
