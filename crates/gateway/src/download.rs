//! Downloads: by redirect to a presigned address, or through the gateway, whole or in parts.

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use limekiln_blobs::{Download, Key};
use limekiln_jobs::{Digest, ErrorKind, Retryable, TenantId};

use crate::auth::by_cookie;
use crate::memory::PictureShare;
use crate::problem::{Problem, ProblemCode};
use crate::range::{Part, part};
use crate::settings::Downloads;
use crate::{State, memory};

/// A blob to download, as its row describes it.
pub(crate) struct Blob<'a> {
    pub(crate) key: &'a str,
    pub(crate) digest: &'a Digest,
    pub(crate) media_type: &'a str,
    /// Name of the file that browsers save.
    pub(crate) name: &'a str,
    /// Whose it is, and who asks for it.
    pub(crate) tenant: TenantId,
}

/// What the headers say of a file.
pub(crate) struct File<'a> {
    pub(crate) media_type: &'a str,
    /// Name of the file that browsers save.
    pub(crate) name: &'a str,
    /// Its entity tag.
    pub(crate) tag: String,
}

/// A file never changes, and only its tenant may see it.
const CACHE_CONTROL: &str = "private, max-age=31536000, immutable";

/// Answers 304 where the client has the blob already, else 307, 200 or 206 as `Downloads` and the headers say.
pub(crate) async fn answer(
    state: &State,
    headers: &HeaderMap,
    blob: Blob<'_>,
) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", blob.digest);
    if unchanged(headers, &tag) {
        return Ok(not_modified(tag));
    }
    let key: Key = blob
        .key
        .parse()
        .map_err(|error: limekiln_blobs::Error| Problem::internal(&error))?;
    let presigned = match state.settings.downloads {
        // The page may load nothing from elsewhere.
        Downloads::Redirect if by_cookie(headers).is_none() => {
            let ttl = state.settings.timeouts.presign;
            state
                .services
                .blobs
                .presign(&key, ttl, Some(blob.name))
                .await?
        }
        Downloads::Redirect | Downloads::Proxy => None,
    };
    // A folder of blobs has no address of its own.
    let Some(url) = presigned else {
        return proxied(state, headers, &key, blob, tag).await;
    };
    let caching = (header::CACHE_CONTROL, "private, no-store".to_owned());
    Ok((
        StatusCode::TEMPORARY_REDIRECT,
        [(header::LOCATION, url.to_string()), caching],
    )
        .into_response())
}

async fn proxied(
    state: &State,
    headers: &HeaderMap,
    key: &Key,
    blob: Blob<'_>,
    tag: String,
) -> Result<Response, Problem> {
    let shares = &state.shares.downloads;
    let share = shares.take(blob.tenant, 1);
    let share = share.ok_or_else(|| too_many(shares.each()))?;
    let download =
        state
            .services
            .blobs
            .download(key)
            .await
            .map_err(|error| match error.kind() {
                // It was pruned after the row was read.
                ErrorKind::NotFound => Problem::plain(ProblemCode::ArtifactNotFound),
                _ => error.into(),
            })?;
    let length = download.head.bytes;
    let part = part(headers, length, &tag);
    let rest = match &part {
        Part::Whole => 0..length,
        Part::Bytes(range) => range.clone(),
        Part::Beyond => return Ok(beyond(length)),
    };
    let pieces = stream::unfold(
        (download, rest, share),
        |(mut download, mut rest, share)| async move {
            let piece = next(&mut download, &mut rest).await?;
            if let Err(error) = &piece {
                tracing::warn!(%error, "a download stopped");
            }
            Some((piece, (download, rest, share)))
        },
    );
    let file = File {
        media_type: blob.media_type,
        name: blob.name,
        tag,
    };
    described(
        Response::new(Body::from_stream(pieces)),
        file,
        &part,
        length,
    )
}

/// The next piece of what is left of a download: `rest` counts from the byte that comes next.
async fn next(
    download: &mut Download,
    rest: &mut Range<u64>,
) -> Option<limekiln_blobs::Result<Bytes>> {
    loop {
        let piece = match download.next().await? {
            Ok(piece) => piece,
            Err(error) => return Some(Err(error)),
        };
        let length = piece.len() as u64;
        let sent = rest.start.min(length) as usize..rest.end.min(length) as usize;
        *rest = rest.start.saturating_sub(length)..rest.end.saturating_sub(length);
        if !sent.is_empty() {
            return Some(Ok(piece.slice(sent)));
        }
        if rest.end == 0 {
            return None;
        }
    }
}

/// Answers with a file that is in memory, or with the part of it that the headers ask for.
pub(crate) fn whole(
    headers: &HeaderMap,
    file: File<'_>,
    bytes: Bytes,
    share: PictureShare,
) -> Result<Response, Problem> {
    let length = bytes.len() as u64;
    let part = part(headers, length, &file.tag);
    let sent = match &part {
        Part::Whole => bytes,
        // They are within the file, whose length is one of memory.
        Part::Bytes(range) => bytes.slice(range.start as usize..range.end as usize),
        Part::Beyond => return Ok(beyond(length)),
    };
    described(memory::answer("", sent, share), file, &part, length)
}

/// The response with the headers of a part of a file of `length` bytes.
fn described(
    mut response: Response,
    file: File<'_>,
    part: &Part,
    length: u64,
) -> Result<Response, Problem> {
    let mut sent = length;
    if let Part::Bytes(range) = part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        sent = range.end - range.start;
        let range = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        set(&mut response, header::CONTENT_RANGE, &range)?;
    }
    let (sent, name) = (
        sent.to_string(),
        format!("inline; filename=\"{}\"", file.name),
    );
    for (name, value) in [
        (header::CONTENT_LENGTH, sent.as_str()),
        (header::CONTENT_TYPE, file.media_type),
        (header::CONTENT_DISPOSITION, name.as_str()),
        (header::CACHE_CONTROL, CACHE_CONTROL),
        (header::ETAG, file.tag.as_str()),
        (header::ACCEPT_RANGES, "bytes"),
    ] {
        set(&mut response, name, value)?;
    }
    Ok(response)
}

fn set(response: &mut Response, name: HeaderName, value: &str) -> Result<(), Problem> {
    let value = HeaderValue::from_str(value).map_err(|error| Problem::internal(&error))?;
    response.headers_mut().insert(name, value);
    Ok(())
}

/// The answer to a range that lies behind the end of a file of `length` bytes.
fn beyond(length: u64) -> Response {
    let mut response = Problem::plain(ProblemCode::RangeUnsatisfiable).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{length}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

/// The client has the file already.
pub(crate) fn not_modified(tag: String) -> Response {
    let headers = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, CACHE_CONTROL.into()),
    ];
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

/// The tenant holds its whole share of downloads.
pub(crate) fn too_many(each: usize) -> Problem {
    Problem::share(
        ProblemCode::ConcurrencyLimit,
        each,
        "downloads are under way",
    )
}

/// Whether `If-None-Match` names this entity tag.
pub(crate) fn unchanged(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}
