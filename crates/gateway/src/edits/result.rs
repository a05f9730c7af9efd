//! The result of an edit, in the format and size that the client wishes.

use axum::extract;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use limekiln_jobs::EditId;
use limekiln_jobs::api::{self, ResultQuery};
use limekiln_pictures::{Format, Wish};

use crate::State;
use crate::auth::Tenant;
use crate::download::{self, File};
use crate::edits::artifacts;
use crate::leaving::{Made, Stored, too_large};
use crate::made::MadeFile;
use crate::params::{PathId, Query};
use crate::problem::{Problem, ProblemCode};

/// Longest side that a client may ask for, in pixels.
const SIDE_MAX: u32 = 65_535;

/// Download the edited picture
///
/// As it is stored, a PNG without loss, or in another format or size. The same query gets the same bytes, so that parts of the
/// file (`Range`) fit together.
#[utoipa::path(
    get, path = "/v1/edits/{id}/result", operation_id = "getResult", tag = "edits",
    params(
        ("id" = EditId, Path, description = "Id of the edit"),
        ResultQuery,
        ("Range" = Option<String>, Header, description = "A single range of bytes", example = "bytes=0-1023"),
    ),
    responses(
        (status = 200, description = "The file", content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp")),
            headers(("Limekiln-Pixels-Moved" = u64, description = "How many pixels outside the edit's matte are not the stored result's, where the file is a JPEG or WebP with loss that was coded anew and not made smaller"))),
        (status = 206, description = "The part of the file that Range asks for", content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"))),
        (status = 304, description = "If-None-Match names the file's ETag"),
        (status = 307, description = "Location is an address of the file at the blob store, which works for some minutes and needs no key. Only where the file is as it is stored"),
    ),
    extensions(("x-problems" = json!([
        ProblemCode::EditNotFound, ProblemCode::ArtifactNotFound, ProblemCode::EditUnfinished,
        ProblemCode::EditEnded, ProblemCode::RangeUnsatisfiable, ProblemCode::ImagePixelsLimit,
    ]))),
)]
pub(crate) async fn result(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<EditId>,
    Query(query): Query<ResultQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = wish(&query)?;
    let stored = Stored::find(&state, caller.tenant, id).await?;
    if stored.is(&wish) {
        return artifacts::send(&state, caller.tenant, id, &stored.result, &headers).await;
    }
    let tag = stored.tag(&wish);
    if download::unchanged(&headers, &tag) {
        return Ok(download::not_modified(tag));
    }
    let shares = &state.shares.downloads;
    let share = shares.take(caller.tenant, 1);
    let share = share.ok_or_else(|| download::too_many(shares.each()))?;
    let (making, tenant) = (state.clone(), caller.tenant);
    let make = async move {
        let _share = share;
        let made = stored.made(&making, tenant, wish).await?;
        let Made {
            bytes,
            format,
            moved,
            ..
        } = made;
        Ok(MadeFile {
            bytes,
            format,
            moved,
        })
    };
    let made = state.made.get(&tag, make).await?;
    let bytes = made.bytes.len() as u64;
    let held = state
        .memory
        .pictures(caller.tenant, None, bytes, too_large)
        .await?;
    let name = format!("{id}-result.{}", made.format.extension());
    let file = File {
        media_type: made.format.media_type(),
        name: &name,
        tag,
    };
    let mut response = download::whole(&headers, file, made.bytes, held)?;
    if let Some(moved) = made.moved {
        response
            .headers_mut()
            .insert(api::PIXELS_MOVED, HeaderValue::from(moved));
    }
    Ok(response)
}

/// What the query asks for.
fn wish(query: &ResultQuery) -> Result<Wish, Problem> {
    let format = query.format.as_deref().map(|word| {
        let found = Format::WRITTEN
            .into_iter()
            .find(|format| format.word() == word);
        found.ok_or_else(|| Problem::parameter("format", "must be png, jpeg or webp"))
    });
    let format = format.transpose()?;
    let quality = query.quality.map(|quality| match (quality, format) {
        (1..=100, Some(Format::Jpeg | Format::WebP)) => Ok(quality as u8),
        (1..=100, Some(Format::Png)) => {
            Err("says nothing of a PNG, which is without loss: leave it out")
        }
        (1..=100, None) => Err("needs a format, jpeg or webp"),
        _ => Err("must be from 1 to 100"),
    });
    let quality = quality.transpose();
    let side = match query.max_side {
        Some(side) if !(1..=SIDE_MAX).contains(&side) => {
            Err(Problem::parameter("max_side", "must be from 1 to 65535"))
        }
        side => Ok(side),
    };
    Ok(Wish {
        format,
        quality: quality.map_err(|says| Problem::parameter("quality", says))?,
        max_side: side?,
        ..Wish::default()
    })
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn wishes_are_checked() {
        let of = |format: Option<&str>, quality, max_side| {
            wish(&ResultQuery {
                format: format.map(str::to_owned),
                quality,
                max_side,
            })
            .map_err(|problem| (problem.status(), problem.detail))
        };
        assert_eq!(of(None, None, None), Ok(Wish::default()));
        let jpeg = of(Some("jpeg"), Some(85), Some(100)).unwrap();
        assert_eq!((jpeg.quality, jpeg.max_side), (Some(85), Some(100)));
        for (format, quality, side, says) in [
            (Some("gif"), None, None, "format must be png, jpeg or webp"),
            (Some("PNG"), None, None, "format"),
            (Some("jpeg"), Some(0), None, "quality must be from 1 to 100"),
            (Some("jpeg"), Some(101), None, "quality"),
            (Some("png"), Some(90), None, "leave it out"),
            (None, Some(90), None, "needs a format"),
            (None, None, Some(0), "max_side"),
            (None, None, Some(65_536), "max_side"),
        ] {
            let (status, detail) = of(format, quality, side).unwrap_err();
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(detail.contains(says), "{detail}");
        }
    }
}
