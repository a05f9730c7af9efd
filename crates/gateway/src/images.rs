//! `/v1/images`: pictures and masks to edit with.

use axum::Json;
use axum::extract::{self, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use limekiln_jobs::api::{DeleteQuery, ImageLinks, ImageView};
use limekiln_jobs::{ImageId, TenantId};
use limekiln_store::{Deleted, Image};

use crate::State;
use crate::auth::Tenant;
use crate::body::{self, BufferedBody};
use crate::download::{self, Blob};
use crate::params::{PathId, Query};
use crate::problem::{Problem, ProblemCode};
use crate::{quotas, upload};

fn view(image: Image) -> ImageView {
    ImageView {
        id: image.id,
        media_type: image.media_type,
        bytes: image.bytes,
        width: image.width,
        height: image.height,
        digest: image.digest,
        created_at: image.created_at,
        links: ImageLinks::new(image.id),
    }
}

/// Upload an image
///
/// The body is the file itself: PNG, JPEG, WebP or TIFF, whatever Content-Type says. The same file uploaded twice is one image.
#[utoipa::path(
    post, path = "/v1/images", operation_id = "createImage", tag = "images",
    request_body(description = "The file", content(
        (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"), (Vec<u8> = "image/tiff"),
        (Vec<u8> = "application/octet-stream"),
    )),
    responses((status = 201, description = "The image was stored", body = ImageView,
        headers(("Location" = String, description = "Path of the image")))),
    extensions(("x-problems" = json!([
        ProblemCode::ImageUnsupported, ProblemCode::ImageEmpty,
        ProblemCode::ImageDamaged, ProblemCode::ImagePixelsLimit, ProblemCode::UploadLimit,
        ProblemCode::StorageLimit,
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes_max = state.settings.limits.upload_bytes;
    quotas::upload(
        &state,
        &caller,
        body::declared_bytes(&parts.headers).unwrap_or(1),
    )
    .await?;
    let BufferedBody {
        bytes,
        share,
        held: _held,
    } = body::read(&state, caller.tenant, &parts.headers, body, bytes_max, 1).await?;
    let checked = upload::check(&state, caller.tenant, &share, bytes.clone())
        .await
        .map_err(|problem| no_form(&parts.headers, problem))?;
    quotas::upload(&state, &caller, bytes.len() as u64).await?;
    let image = upload::put(&state, caller.tenant, bytes, &checked).await?;
    drop(share);
    let view = view(image);
    let location = [(header::LOCATION, view.links.this.clone())];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// Show an image
#[utoipa::path(
    get, path = "/v1/images/{id}", operation_id = "getImage", tag = "images",
    params(("id" = ImageId, Path, description = "Id of the image")),
    responses((status = 200, description = "The image", body = ImageView)),
    extensions(("x-problems" = json!([ProblemCode::ImageNotFound]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<ImageId>,
) -> Result<Json<ImageView>, Problem> {
    Ok(Json(view(find(&state, caller.tenant, id).await?)))
}

/// Delete an image
///
/// It is gone with this answer, and its file within minutes. Edits that name it, ended or not, keep it: delete those first, or
/// all at once with `cascade`. Deleting what is not there is no error, so a request may be sent again.
#[utoipa::path(
    delete, path = "/v1/images/{id}", operation_id = "deleteImage", tag = "images",
    params(("id" = ImageId, Path, description = "Id of the image"), DeleteQuery),
    responses((status = 204, description = "There is no such image any more")),
    extensions(("x-problems" = json!([ProblemCode::ImageInUse, ProblemCode::EditNotEnded]))),
)]
pub(crate) async fn delete(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<ImageId>,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let cascade = query.cascade.unwrap_or(false);
    let store = &state.services.store;
    match store.image_delete(caller.tenant, id, cascade).await? {
        Deleted::Gone | Deleted::Missing => Ok(StatusCode::NO_CONTENT),
        Deleted::Live => Err(Problem::new(
            ProblemCode::EditNotEnded,
            "an edit that names the image, or a turn that builds on one, has not ended: cancel it first",
        )),
        Deleted::InUse if cascade => Err(Problem::new(
            ProblemCode::ImageInUse,
            "more than 1,000 edits would have to go with the image: delete edits first",
        )),
        Deleted::InUse => Err(Problem::plain(ProblemCode::ImageInUse)),
    }
}

/// Download the file of an image, as it was uploaded
#[utoipa::path(
    get, path = "/v1/images/{id}/content", operation_id = "getImageContent", tag = "images",
    params(("id" = ImageId, Path, description = "Id of the image")),
    responses(
        (status = 200, description = "The file", content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"), (Vec<u8> = "image/tiff"))),
        (status = 304, description = "If-None-Match names the file's ETag"),
        (status = 307, description = "Location is an address of the file at the blob store, which works for some minutes and needs no key"),
    ),
    extensions(("x-problems" = json!([ProblemCode::ImageNotFound]))),
)]
pub(crate) async fn content(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<ImageId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let image = find(&state, caller.tenant, id).await?;
    let extension = image.media_type.trim_start_matches("image/");
    let name = format!("{id}.{extension}");
    let blob = Blob {
        key: &image.key,
        digest: &image.digest,
        media_type: &image.media_type,
        name: &name,
        tenant: caller.tenant,
    };
    download::answer(&state, &headers, blob).await
}

async fn find(state: &State, tenant: TenantId, id: ImageId) -> Result<Image, Problem> {
    let found = state.services.store.image_get(tenant, id).await?;
    found.ok_or_else(|| Problem::plain(ProblemCode::ImageNotFound))
}

/// Says what to send to whoever sent the picture wrapped in something.
fn no_form(headers: &HeaderMap, problem: Problem) -> Problem {
    let wrapped = body::media_type(headers)
        .ok()
        .flatten()
        .is_some_and(|kind| kind.starts_with("multipart/") || kind == "application/json");
    if problem.code != ProblemCode::ImageUnsupported || !wrapped {
        return problem;
    }
    Problem {
        detail: format!(
            "{}: send the file itself as the body, neither a form nor JSON",
            problem.detail
        ),
        ..problem
    }
}
