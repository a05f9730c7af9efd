//! A picture as a request gives it: its file, or the id of one that came before. Either becomes an image of ours.

use std::borrow::Cow;

use bytes::Bytes;
use limekiln_jobs::{FileId, ImageId, TenantId};
use limekiln_memory::Share;
use limekiln_pictures::Format;
use limekiln_store::{Image, Limits};

use super::form::Form;
use super::mask;
use crate::leaving;
use crate::problem::{Problem, ProblemCode};
use crate::upload::{self, Checked};
use crate::{State, quotas};

/// A picture of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Picture {
    /// The file itself.
    Sent(Bytes),
    /// One that is there already.
    Stored(PictureRef),
    /// One at an address: of a row of a batch, which waits until it was fetched.
    Elsewhere(String),
}

/// The id of a picture that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PictureRef {
    File(FileId),
    Image(ImageId),
}

impl Picture {
    /// What tells it from others.
    pub(super) fn identity(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Sent(bytes) => Cow::Borrowed(bytes),
            Self::Stored(PictureRef::File(id)) => format!("file {id}").into_bytes().into(),
            Self::Elsewhere(address) => Cow::Borrowed(address.as_bytes()),
            Self::Stored(PictureRef::Image(id)) => format!("image {id}").into_bytes().into(),
        }
    }
}

/// A picture whose head is known.
enum Found {
    New(Bytes, Checked),
    Known(Image),
}

impl Found {
    async fn of(
        state: &State,
        tenant: TenantId,
        held: &Share,
        (name, picture): (&str, Picture),
    ) -> Result<Self, Problem> {
        match picture {
            Picture::Sent(bytes) => {
                let checked = upload::check(state, tenant, held, bytes.clone()).await?;
                Ok(Self::New(bytes, checked))
            }
            Picture::Stored(named) => Ok(Self::Known(find(state, tenant, name, named).await?)),
            Picture::Elsewhere(_) => Err(nothing_fetched(name)),
        }
    }

    fn size(&self) -> (u32, u32) {
        match self {
            Self::New(_, checked) => checked.size,
            Self::Known(image) => (image.width, image.height),
        }
    }
}

/// Addresses are for pictures of rows, which wait.
fn nothing_fetched(name: &str) -> Problem {
    let says = "must be {\"image_url\": \"data:image/png;base64,...\"} or {\"file_id\": \"file-...\"}: addresses are fetched for pictures of batches \
        and catalogs only";
    Problem::field(name, says)
}

/// The image that an id stands for.
async fn find(
    state: &State,
    tenant: TenantId,
    name: &str,
    named: PictureRef,
) -> Result<Image, Problem> {
    let store = &state.services.store;
    let image = match named {
        PictureRef::Image(id) => id,
        PictureRef::File(id) => {
            let file = store.file_get(tenant, id).await?;
            let file = file.ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))?;
            file.image.ok_or_else(|| {
                let says = format!(
                    "{} is no picture: upload it with the purpose vision",
                    super::ids::file_text(id)
                );
                Problem::field(name, says)
            })?
        }
    };
    let found = store.image_get(tenant, image).await?;
    found.ok_or_else(|| Problem::plain(ProblemCode::ImageNotFound))
}

/// Checks and stores the form's pictures. `held` is the memory of the form, and grows by that of files that are read.
pub(super) async fn stored(
    state: &State,
    (tenant, limits): (TenantId, &Limits),
    held: &mut Share,
    form: Form,
) -> Result<(ImageId, Option<ImageId>), Problem> {
    let mut image = Found::of(state, tenant, held, ("images", form.image)).await?;
    let mask = match form.mask {
        Some(mask) => {
            let bytes = match mask {
                Picture::Sent(bytes) => bytes,
                Picture::Stored(named) => {
                    let found = find(state, tenant, "mask", named).await?;
                    content(state, held, &found).await?
                }
                Picture::Elsewhere(_) => return Err(nothing_fetched("mask")),
            };
            Some(mask::converted(state, tenant, held, bytes, image.size()).await?)
        }
        None => {
            let transparent = match &image {
                Found::New(bytes, checked) => {
                    mask::own(state, tenant, held, bytes, checked).await?
                }
                Found::Known(known) => own(state, tenant, held, known).await?,
            };
            transparent.map(|own| {
                image = Found::New(own.picture.0, own.picture.1);
                own.mask
            })
        }
    };
    // Nothing is stored before everything is known to be good.
    let new = match &image {
        Found::New(bytes, _) => bytes.len(),
        Found::Known(_) => 0,
    };
    let bytes = new + mask.as_ref().map_or(0, |(bytes, ..)| bytes.len());
    if bytes > 0 {
        quotas::upload_of(state, tenant, limits, bytes as u64).await?;
    }
    let image = match image {
        Found::New(bytes, checked) => upload::put(state, tenant, bytes, &checked).await?.id,
        Found::Known(known) => known.id,
    };
    let Some((mask, checked, _share)) = mask else {
        return Ok((image, None));
    };
    let mask = upload::put(state, tenant, mask, &checked).await?;
    Ok((image, Some(mask.id)))
}

/// The mask that a picture which is there is itself, where it is transparent anywhere.
async fn own(
    state: &State,
    tenant: TenantId,
    held: &mut Share,
    image: &Image,
) -> Result<Option<mask::Own>, Problem> {
    let written = Format::WRITTEN.into_iter();
    let mut opaque = written.filter(|format| !format.has_alpha());
    if opaque.any(|format| format.media_type() == image.media_type) {
        return Ok(None);
    }
    let bytes = content(state, held, image).await?;
    let checked = upload::check(state, tenant, held, bytes.clone()).await?;
    mask::own(state, tenant, held, &bytes, &checked).await
}

/// The file of a picture that is there, in memory that `held` grows by.
async fn content(state: &State, held: &mut Share, image: &Image) -> Result<Bytes, Problem> {
    state.memory.grow(held, image.bytes).await?;
    leaving::read(state, &image.key, &image.digest).await
}
