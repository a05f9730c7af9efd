//! The picture with the region marked: made of the edit's input and region when it is asked for. Edits of older workers keep one.

use axum::extract;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use limekiln_jobs::{ArtifactKind, EditId, TenantId};
use limekiln_pictures::{
    Error, Format, Limits, Mask, Original, Wish, encode, matte_decode, paint, probe,
};
use limekiln_store::ArtifactRef;

use crate::State;
use crate::auth::Tenant;
use crate::download::{self, File};
use crate::edits::{artifacts, read};
use crate::leaving::{self, Made, Stored, too_large};
use crate::made::MadeFile;
use crate::params::PathId;
use crate::problem::{Problem, ProblemCode};
use crate::upload;

/// Longer side in pixels, at most: it is there to be looked at.
const SIDE: u32 = 1024;
/// Bytes for each pixel of an overlay: the input, the region, both painted, and the file.
const PIXEL_BYTES: u64 = 16;
/// Part of the entity tag: raised when the same edit gets another overlay.
const VERSION: &str = "1";

/// Download the picture with the region marked
#[utoipa::path(
    get, path = "/v1/edits/{id}/overlay", operation_id = "getOverlay", tag = "edits",
    params(
        ("id" = EditId, Path, description = "Id of the edit"),
        ("Range" = Option<String>, Header, description = "A single range of bytes", example = "bytes=0-1023"),
    ),
    responses(
        (status = 200, description = "The file", content((Vec<u8> = "image/png"))),
        (status = 206, description = "The part of the file that Range asks for", content((Vec<u8> = "image/png"))),
        (status = 304, description = "If-None-Match names the file's ETag"),
        (status = 307, description = "Location is an address of the file at the blob store, which works for some minutes and needs no key: of edits of older workers"),
    ),
    extensions(("x-problems" = json!([
        ProblemCode::EditNotFound, ProblemCode::ArtifactNotFound, ProblemCode::EditUnfinished,
        ProblemCode::EditEnded, ProblemCode::ImageNotFound, ProblemCode::RangeUnsatisfiable, ProblemCode::ImagePixelsLimit,
    ]))),
)]
pub(crate) async fn overlay(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<EditId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = caller.tenant;
    let store = &state.services.store;
    let region = store.artifact_get(tenant, id, ArtifactKind::Roi).await?;
    let kept = store
        .artifact_get(tenant, id, ArtifactKind::Overlay)
        .await?;
    let (None, Some(region)) = (kept, region) else {
        // The one that is kept, or why there is none.
        let kept = artifacts::find(&state, tenant, id, ArtifactKind::Overlay).await?;
        return artifacts::send(&state, tenant, id, &kept, &headers).await;
    };
    let tag = format!("overlay {VERSION} {id} {}", region.digest);
    let tag = format!("\"{}\"", blake3::hash(tag.as_bytes()).to_hex());
    if download::unchanged(&headers, &tag) {
        return Ok(download::not_modified(tag));
    }
    let shares = &state.shares.downloads;
    let share = shares.take(tenant, 1);
    let share = share.ok_or_else(|| download::too_many(shares.each()))?;
    let making = state.clone();
    let make = async move {
        let _share = share;
        let bytes = made(&making, tenant, id, &region).await?;
        Ok(MadeFile {
            bytes,
            format: Format::Png,
            moved: None,
        })
    };
    let bytes = state.made.get(&tag, make).await?.bytes;
    let held = bytes.len() as u64;
    let held = state.memory.pictures(tenant, None, held, too_large).await?;
    let name = format!("{id}-{}", ArtifactKind::Overlay.file_name());
    let file = File {
        media_type: Format::Png.media_type(),
        name: &name,
        tag,
    };
    download::whole(&headers, file, bytes, held)
}

/// Paints it.
async fn made(
    state: &State,
    tenant: TenantId,
    id: EditId,
    region: &ArtifactRef,
) -> Result<Bytes, Problem> {
    let edit = read::find(state, tenant, id).await?;
    let input = match (edit.image, edit.parent) {
        (_, Some(parent)) => Stored::find(state, tenant, parent).await?,
        (Some(image), None) => Stored::of_image(state, tenant, image).await?,
        (None, None) => return Err(Problem::plain(ProblemCode::ArtifactNotFound)),
    };
    let wish = Wish {
        format: Some(Format::Png),
        max_side: Some(SIDE),
        ..Wish::default()
    };
    let Made {
        bytes: input,
        share,
        ..
    } = input.made(state, tenant, wish).await?;
    let size = (region.width.unwrap_or(0), region.height.unwrap_or(0));
    let held = state.memory.share(region.bytes, too_large).await?;
    let file = leaving::read(state, &region.key, &region.digest).await?;
    let limits = Limits::ACCEPTED;
    let needed = probe(&file, &limits)?.decode_bytes + PIXEL_BYTES * u64::from(SIDE).pow(2);
    let memory = &state.memory;
    let more = memory.pictures(tenant, Some(&held), needed, too_large);
    let more = more.await?;
    let permit = upload::turn(state).await?;
    upload::blocking(move || {
        let _held = (permit, share, held, more);
        let region = Mask::from_image(&matte_decode(&file, size, &limits)?);
        let (input, _) = Original::read(&input, &limits)?;
        let input = input.on_white();
        let region = region.resized(input.width() as usize, input.height() as usize);
        let painted = paint::overlay(&input, &region.to_image());
        Ok::<_, Error>(encode::png(&painted.into())?.into())
    })
    .await
}
