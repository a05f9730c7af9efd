//! Pictures come in: bounded in bytes, identified by their content, bounded in pixels before any is decoded, decoded once,
//! and only then stored.

use bytes::Bytes;
use limekiln_blobs::Key;
use limekiln_jobs::{Digest, TenantId};
use limekiln_pictures::{Format, Limits, Picture};
use limekiln_store::{Image, NewImage};
use tokio::time::timeout;

use crate::State;
use crate::problem::{Problem, ProblemCode};

/// The bounds on uploaded pictures.
fn limits(state: &State) -> Limits {
    let limits = &state.settings.limits;
    Limits {
        bytes_max: limits.upload_bytes as u64,
        side_max: limits.side_max,
        pixels_max: limits.pixels_max,
        ..Limits::UPLOAD
    }
}

/// A picture that was decoded once, so that it is no worker that finds it broken.
pub(crate) struct Decoded {
    pub(crate) picture: Picture,
    pub(crate) format: Format,
    pub(crate) digest: Digest,
}

/// Checks a picture and decodes it. Only a few are decoded at a time.
pub(crate) async fn decode(
    state: &State,
    bytes: Bytes,
    declared: Option<Format>,
) -> Result<Decoded, Problem> {
    let waited = timeout(
        state.settings.timeouts.request,
        state.decodes.clone().acquire_owned(),
    )
    .await;
    let Ok(Ok(permit)) = waited else {
        return Err(Problem::plain(ProblemCode::Overloaded));
    };
    let limits = limits(state);
    let work = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let probe = limekiln_pictures::probe(&bytes, &limits)?;
        if let Some(declared) = declared.filter(|declared| *declared != probe.format) {
            let (found, declared) = (probe.format.media_type(), declared.media_type());
            return Err(Problem::new(
                ProblemCode::MediaTypeMismatch,
                format!("the body is {found} and Content-Type says {declared}"),
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
            ProblemCode::ImageDamaged,
            "the picture can't be decoded: save it again",
        ))
    })
}

/// Stores a checked picture of `(width, height)` pixels: first the blob, then the row that refers to it.
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
        .services
        .blobs
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
    let image = state.services.store.image_create(tenant, &image).await?;
    metrics::counter!("limekiln_upload_bytes_total").increment(count);
    Ok(image)
}
