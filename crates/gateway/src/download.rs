//! Blobs go out: by a presigned address, or through the gateway.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use limekiln_blobs::Key;
use limekiln_jobs::{Digest, ErrorKind, Retryable};

use crate::problem::{Code, Problem, internal};
use crate::{Downloads, State};

/// What a row says of a blob.
pub(crate) struct Blob<'a> {
    pub(crate) key: &'a str,
    pub(crate) digest: &'a Digest,
    pub(crate) media_type: &'a str,
    /// What it is saved as.
    pub(crate) name: &'a str,
}

/// Blobs never change, and belong to one tenant.
const CACHING: &str = "private, max-age=31536000, immutable";

/// 200 with the bytes, 304, or 307, as the request and the settings say.
pub(crate) async fn answer(
    state: &State,
    headers: &HeaderMap,
    blob: Blob<'_>,
) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", blob.digest);
    if unchanged(headers, &tag) {
        return Ok((
            StatusCode::NOT_MODIFIED,
            [(header::ETAG, tag), (header::CACHE_CONTROL, CACHING.into())],
        )
            .into_response());
    }
    let key: Key = blob
        .key
        .parse()
        .map_err(|error: limekiln_blobs::Error| internal(&error))?;
    let presigned = match state.settings().downloads {
        Downloads::Redirect => {
            let ttl = state.settings().timeouts.presign;
            state.blobs().presign(&key, ttl, Some(blob.name)).await?
        }
        Downloads::Proxy => None,
    };
    // A folder of blobs has no address of its own.
    let Some(url) = presigned else {
        return proxied(state, &key, blob, tag).await;
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
    key: &Key,
    blob: Blob<'_>,
    tag: String,
) -> Result<Response, Problem> {
    let download = state
        .blobs()
        .download(key)
        .await
        .map_err(|error| match error.kind() {
            // Pruned between the row's reading and now.
            ErrorKind::NotFound => Problem::plain(Code::ArtifactNotFound),
            _ => error.into(),
        })?;
    let bytes = download.head.bytes;
    let pieces = stream::unfold(download, |mut download| async move {
        let piece = download.next().await?;
        if let Err(error) = &piece {
            tracing::warn!(%error, "a download stopped");
        }
        Some((piece, download))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    for (name, value) in [
        (header::CONTENT_TYPE, blob.media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("inline; filename=\"{}\"", blob.name),
        ),
        (header::CACHE_CONTROL, CACHING.to_owned()),
        (header::ETAG, tag),
    ] {
        headers.insert(
            name,
            HeaderValue::from_str(&value).map_err(|error| internal(&error))?,
        );
    }
    Ok(response)
}

/// Whether `If-None-Match` names what there is.
fn unchanged(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}
