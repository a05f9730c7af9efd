//! Pictures come in: bounded in bytes, identified by their content, bounded in pixels before any is decoded, read once from
//! end to end in memory that was set aside before, and only then stored.

use bytes::Bytes;
use image::GrayImage;
use limekiln_blobs::Key;
use limekiln_jobs::{Digest, ImageId, TenantId};
use limekiln_memory::{Share, TooLarge, mib};
use limekiln_pictures::{Error, Format, Limits, Original, Probe};
use limekiln_store::{Image, NewImage};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::State;
use crate::memory::PictureShare;
use crate::problem::{Problem, ProblemCode};

/// Pictures that took more than this leave memory behind that is worth giving back.
const LARGE_BYTES: u64 = 32 << 20;

/// The bounds on uploaded pictures.
fn limits(state: &State) -> Limits {
    let limits = &state.settings.limits;
    Limits::new(
        limits.upload_bytes as u64,
        limits.side_max,
        limits.pixels_max,
    )
}

/// A picture that was read from end to end, so that it is no worker that finds it broken.
pub(crate) struct Checked {
    pub(crate) format: Format,
    /// Width and height of the upright picture, in pixels.
    pub(crate) size: (u32, u32),
    pub(crate) digest: Digest,
}

/// Checks a picture and keeps none of its pixels. Only a few are checked at a time; `held` is what its bytes hold.
pub(crate) async fn check(
    state: &State,
    tenant: TenantId,
    held: &Share,
    bytes: Bytes,
) -> Result<Checked, Problem> {
    let limits = limits(state);
    let probe = probe(&bytes, limits).await?;
    let share = share(state, tenant, held, probe.check_bytes, "this picture").await?;
    let read = move || {
        limekiln_pictures::check(&bytes, &limits)?;
        Ok(Checked {
            format: probe.format,
            size: (probe.width, probe.height),
            digest: Digest::of(&bytes),
        })
    };
    let (checked, _share) = decoding(state, share, read).await?;
    Ok(checked)
}

/// How opaque each pixel of a picture of `size` (width, height) is, with memory of so many bytes for that and what is made of it.
pub(crate) async fn opacity(
    state: &State,
    tenant: TenantId,
    held: &Share,
    bytes: Bytes,
    size: (u32, u32),
    made_bytes: u64,
) -> Result<(GrayImage, PictureShare), Problem> {
    let limits = limits(state);
    let probe = probe(&bytes, limits).await?;
    // The decoder is gone before anything is made.
    let needed = probe.decode_bytes.max(made_bytes);
    let share = share(state, tenant, held, needed, "the mask").await?;
    let read = move || limekiln_pictures::opacity_decode(&bytes, size, &limits);
    let (opacity, mut share) = decoding(state, share, read).await?;
    share.shrink_to(made_bytes);
    Ok((opacity, share))
}

/// The same of a picture that may be its own mask, with memory for a mask and for [`opaque`].
pub(crate) async fn own_opacity(
    state: &State,
    tenant: TenantId,
    held: &Share,
    bytes: Bytes,
    size: (u32, u32),
) -> Result<(GrayImage, PictureShare), Problem> {
    let probe = probe(&bytes, limits(state)).await?;
    // What is written is no larger than the pixels, about.
    let mask = 2 * u64::from(size.0) * u64::from(size.1);
    let made_bytes = mask + probe.decode_bytes + 2 * probe.picture_bytes;
    opacity(state, tenant, held, bytes, size, made_bytes).await
}

/// The picture without its transparency, as PNG.
pub(crate) async fn opaque(state: &State, bytes: Bytes) -> Result<Bytes, Problem> {
    let limits = limits(state);
    let permit = turn(state).await?;
    let png = blocking(move || {
        let _permit = permit;
        let (mut picture, _) = Original::read(&bytes, &limits)?;
        picture.alpha = None;
        picture.encode(Format::Png)
    });
    Ok(png.await?.into())
}

async fn probe(bytes: &Bytes, limits: Limits) -> Result<Probe, Problem> {
    let bytes = bytes.clone();
    blocking(move || limekiln_pictures::probe(&bytes, &limits)).await
}

/// The memory that reading a picture takes.
async fn share(
    state: &State,
    tenant: TenantId,
    held: &Share,
    bytes: u64,
    what: &str,
) -> Result<PictureShare, Problem> {
    let never = |error: TooLarge| {
        let (needed, limit) = (mib(error.needed), mib(error.limit));
        Problem::new(
            ProblemCode::ImagePixelsLimit,
            format!(
                "reading {what} takes {needed} MiB of memory, and the server has {limit} MiB: shrink it, or save it as PNG, \
                 which is read row by row"
            ),
        )
    };
    state
        .memory
        .pictures(tenant, Some(held), bytes, never)
        .await
}

/// Reads pixels on a thread for it, one of few at a time. The share is held until that has ended, even when nobody waits for
/// it any more, and comes back with the outcome.
async fn decoding<T: Send + 'static>(
    state: &State,
    share: PictureShare,
    read: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<(T, PictureShare), Problem> {
    let permit = turn(state).await?;
    blocking(move || {
        let _permit = permit;
        let outcome = read();
        if share.bytes() > LARGE_BYTES {
            limekiln_memory::give_back();
        }
        Ok((outcome?, share))
    })
    .await
}

pub(crate) async fn turn(state: &State) -> Result<OwnedSemaphorePermit, Problem> {
    let turn = state.decodes.clone().acquire_owned();
    match timeout(state.settings.timeouts.request, turn).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::plain(ProblemCode::Overloaded)),
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(error) => {
            tracing::error!(%error, "a decoder panicked");
            Err(Problem::new(
                ProblemCode::ImageDamaged,
                "the picture can't be decoded: save it again",
            ))
        }
    }
}

/// Stores a checked picture: first the blob, then the row that refers to it.
pub(crate) async fn put(
    state: &State,
    tenant: TenantId,
    bytes: Bytes,
    checked: &Checked,
) -> Result<Image, Problem> {
    let (digest, count) = (checked.digest, bytes.len() as u64);
    let media_type = checked.format.media_type();
    let mut key = Key::image(tenant, &digest);
    let image = loop {
        let (blobs, body) = (&state.services.blobs, bytes.clone());
        blobs.put_digested(&key, body, digest, media_type).await?;
        let image = NewImage {
            key: key.clone().into(),
            digest,
            media_type: media_type.to_owned(),
            bytes: count,
            width: checked.size.0,
            height: checked.size.1,
        };
        match state.services.store.image_create(tenant, &image).await {
            // The same picture was deleted minutes ago, and what lies under that key goes with it.
            Err(limekiln_store::Error::BlobGoing(_)) if key == Key::image(tenant, &digest) => {
                key = Key::image_again(tenant, &digest, ImageId::new());
            }
            done => break done?,
        }
    };
    metrics::counter!("limekiln_upload_bytes_total").increment(count);
    Ok(image)
}
