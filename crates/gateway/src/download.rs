//! Downloads: by redirect to a presigned address, or through the gateway.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use limekiln_blobs::Key;
use limekiln_jobs::{Digest, ErrorKind, Retryable, TenantId};

use crate::State;
use crate::problem::{Problem, ProblemCode};
use crate::settings::Downloads;

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

/// A blob never changes, and only its tenant may see it.
const CACHE_CONTROL: &str = "private, max-age=31536000, immutable";

/// Answers 304 where the client has the blob already, else 307 or 200 as `Downloads` says.
pub(crate) async fn answer(
    state: &State,
    headers: &HeaderMap,
    blob: Blob<'_>,
) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", blob.digest);
    if unchanged(headers, &tag) {
        return Ok((
            StatusCode::NOT_MODIFIED,
            [
                (header::ETAG, tag),
                (header::CACHE_CONTROL, CACHE_CONTROL.into()),
            ],
        )
            .into_response());
    }
    let key: Key = blob
        .key
        .parse()
        .map_err(|error: limekiln_blobs::Error| Problem::internal(&error))?;
    let presigned = match state.settings.downloads {
        Downloads::Redirect => {
            let ttl = state.settings.timeouts.presign;
            state
                .services
                .blobs
                .presign(&key, ttl, Some(blob.name))
                .await?
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
    let shares = &state.shares.downloads;
    let share = shares.take(blob.tenant, 1).ok_or_else(|| {
        Problem::share(
            ProblemCode::ConcurrencyLimit,
            shares.each(),
            "downloads are under way",
        )
    })?;
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
    let bytes = download.head.bytes;
    let pieces = stream::unfold((download, share), |(mut download, share)| async move {
        let piece = download.next().await?;
        if let Err(error) = &piece {
            tracing::warn!(%error, "a download stopped");
        }
        Some((piece, (download, share)))
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
        (header::CACHE_CONTROL, CACHE_CONTROL.to_owned()),
        (header::ETAG, tag),
    ] {
        headers.insert(
            name,
            HeaderValue::from_str(&value).map_err(|error| Problem::internal(&error))?,
        );
    }
    Ok(response)
}

/// Whether `If-None-Match` names this entity tag.
fn unchanged(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}
