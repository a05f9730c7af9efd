//! Pictures come in: bounded, sniffed, bounded again by what their heads say, decoded once, and only then stored.

use axum::extract::{self, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use limekiln_blobs::Key;
use limekiln_jobs::{Digest, ImageId, TenantId};
use limekiln_pictures::{Format, Limits, Picture};
use limekiln_store::{Image, NewImage};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::State;
use crate::body::{self, Held};
use crate::caller::Tenant;
use crate::download::{self, Blob};
use crate::params::Id;
use crate::problem::{Code, Problem};

/// An uploaded picture.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImageView {
    /// Its id: name it as `image` or `mask` of an edit.
    id: ImageId,
    /// By content, whatever was claimed.
    #[schema(example = "image/png")]
    media_type: String,
    /// Its length, in bytes.
    #[schema(example = 412_307, minimum = 1)]
    bytes: u64,
    /// In pixels, turned upright.
    #[schema(example = 512, minimum = 1)]
    width: u32,
    /// In pixels, turned upright.
    #[schema(example = 512, minimum = 1)]
    height: u32,
    /// BLAKE3 of its bytes.
    digest: Digest,
    /// When it was first uploaded.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    links: ImageLinks,
}

/// Paths of an image on this server.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImageLinks {
    #[serde(rename = "self")]
    this: String,
    /// Its bytes.
    content: String,
}

impl From<Image> for ImageView {
    fn from(image: Image) -> Self {
        let this = format!("/v1/images/{}", image.id);
        Self {
            links: ImageLinks {
                content: format!("{this}/content"),
                this,
            },
            id: image.id,
            media_type: image.media_type,
            bytes: image.bytes,
            width: image.width,
            height: image.height,
            digest: image.digest,
            created_at: image.created_at,
        }
    }
}

/// Upload a picture
///
/// The body is the picture itself: PNG, JPEG or WebP. The same picture twice is one image.
#[utoipa::path(
    post, path = "/v1/images", operation_id = "createImage", tag = "images",
    request_body(description = "The picture's bytes", content(
        (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"), (Vec<u8> = "application/octet-stream"),
    )),
    responses((status = 201, description = "Stored", body = ImageView, headers(("Location" = String, description = "Its address")))),
    extensions(("x-problems" = json!([
        "body_incomplete", "body_timeout", "body_too_large", "media_type_unsupported", "media_type_mismatch",
        "content_encoding_unsupported", "image_unsupported", "image_empty", "image_damaged", "image_pixels_limit",
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let claimed = claimed(&parts.headers)?;
    let held = body::read(
        &state,
        &parts.headers,
        body,
        state.settings().limits.upload_bytes,
    )
    .await?;
    let Held { bytes, permit } = held;
    let image = store(&state, caller.tenant, bytes, claimed).await?;
    drop(permit);
    let view = ImageView::from(image);
    let location = [(header::LOCATION, view.links.this.clone())];
    Ok((StatusCode::CREATED, location, axum::Json(view)).into_response())
}

/// Look at an image
#[utoipa::path(
    get, path = "/v1/images/{id}", operation_id = "getImage", tag = "images",
    params(("id" = ImageId, Path, description = "The image")),
    responses((status = 200, description = "The image", body = ImageView)),
    extensions(("x-problems" = json!(["parameter_invalid", "image_not_found"]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Id(id): Id<ImageId>,
) -> Result<axum::Json<ImageView>, Problem> {
    Ok(axum::Json(find(&state, caller.tenant, id).await?.into()))
}

/// Download an image as it was uploaded
#[utoipa::path(
    get, path = "/v1/images/{id}/content", operation_id = "getImageContent", tag = "images",
    params(("id" = ImageId, Path, description = "The image")),
    responses(
        (status = 200, description = "Its bytes", content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"))),
        (status = 304, description = "Unchanged since If-None-Match"),
        (status = 307, description = "At the blob store, for a while"),
    ),
    extensions(("x-problems" = json!(["parameter_invalid", "image_not_found"]))),
)]
pub(crate) async fn content(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Id(id): Id<ImageId>,
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
    };
    download::answer(&state, &headers, blob).await
}

async fn find(state: &State, tenant: TenantId, id: ImageId) -> Result<Image, Problem> {
    let found = state.store().image_get(tenant, id).await?;
    found.ok_or_else(|| Problem::plain(Code::ImageNotFound))
}

/// The format that `Content-Type` claims, if it claims one.
fn claimed(headers: &HeaderMap) -> Result<Option<Format>, Problem> {
    match body::media_type(headers)?.as_deref() {
        Some("image/png") => Ok(Some(Format::Png)),
        Some("image/jpeg" | "image/jpg") => Ok(Some(Format::Jpeg)),
        Some("image/webp") => Ok(Some(Format::WebP)),
        Some("application/octet-stream") => Ok(None),
        given => Err(Problem::new(
            Code::MediaTypeUnsupported,
            format!(
                "send the picture itself as the body, with Content-Type: image/png, image/jpeg, image/webp or \
                 application/octet-stream, not {}",
                given.unwrap_or("without one")
            ),
        )),
    }
}

/// What is read of uploads.
pub(crate) fn limits(state: &State) -> Limits {
    let limits = &state.settings().limits;
    Limits {
        bytes_max: limits.upload_bytes as u64,
        side_max: limits.side_max,
        pixels_max: limits.pixels_max,
        ..Limits::UPLOAD
    }
}

/// A picture that was decoded once, so that no worker is the first to find it broken.
pub(crate) struct Decoded {
    pub(crate) picture: Picture,
    pub(crate) format: Format,
    pub(crate) digest: Digest,
}

/// Checks a picture and decodes it, a few at a time.
pub(crate) async fn decode(
    state: &State,
    bytes: Bytes,
    claimed: Option<Format>,
) -> Result<Decoded, Problem> {
    let waited = timeout(
        state.settings().timeouts.request,
        state.decodes().clone().acquire_owned(),
    )
    .await;
    let Ok(Ok(permit)) = waited else {
        return Err(Problem::plain(Code::Overloaded));
    };
    let limits = limits(state);
    let work = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let probe = limekiln_pictures::probe(&bytes, &limits)?;
        if let Some(claimed) = claimed.filter(|claimed| *claimed != probe.format) {
            let (found, claimed) = (probe.format.media_type(), claimed.media_type());
            return Err(Problem::new(
                Code::MediaTypeMismatch,
                format!("the body is {found} and Content-Type says {claimed}"),
            ));
        }
        let picture = limekiln_pictures::decode(&bytes, &limits)?;
        Ok(Decoded {
            picture,
            format: probe.format,
            digest: Digest::of(&bytes),
        })
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a decoder panicked");
        Err(Problem::new(
            Code::ImageDamaged,
            "the picture can't be decoded: save it again",
        ))
    })
}

/// Checks and stores a picture.
async fn store(
    state: &State,
    tenant: TenantId,
    bytes: Bytes,
    claimed: Option<Format>,
) -> Result<Image, Problem> {
    let decoded = decode(state, bytes.clone(), claimed).await?;
    let size = decoded.picture.rgb.dimensions();
    drop(decoded.picture);
    put(state, tenant, bytes, decoded.digest, decoded.format, size).await
}

/// Stores a checked picture: first the blob, then the row that makes it count.
pub(crate) async fn put(
    state: &State,
    tenant: TenantId,
    bytes: Bytes,
    digest: Digest,
    format: Format,
    (width, height): (u32, u32),
) -> Result<Image, Problem> {
    let (key, count) = (Key::image(tenant, &digest), bytes.len() as u64);
    state
        .blobs()
        .put_digested(&key, bytes, digest, format.media_type())
        .await?;
    let media_type = format.media_type().to_owned();
    let image = NewImage {
        key: key.into(),
        digest,
        media_type,
        bytes: count,
        width,
        height,
    };
    let image = state.store().image_create(tenant, &image).await?;
    metrics::counter!("limekiln_upload_bytes_total").increment(count);
    Ok(image)
}
