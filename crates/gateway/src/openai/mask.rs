//! Masks: OpenAI's are transparent where to edit, ours white.

use bytes::Bytes;
use image::{DynamicImage, GrayImage};
use limekiln_jobs::{Digest, TenantId};
use limekiln_memory::Share;
use limekiln_pictures::Format;

use crate::State;
use crate::memory::PictureShare;
use crate::problem::{Problem, ProblemCode};
use crate::upload::{self, Checked};

/// Our form of OpenAI's mask for a picture of `size` (width, height), as PNG. `held` is what the form holds, and the share
/// that comes back what the mask does.
pub(super) async fn converted(
    state: &State,
    tenant: TenantId,
    held: &Share,
    mask: Bytes,
    size: (u32, u32),
) -> Result<(Bytes, Checked, PictureShare), Problem> {
    // A value a pixel, and the file made of them.
    let bytes = 2 * u64::from(size.0) * u64::from(size.1);
    let (opacity, share) = upload::opacity(state, tenant, held, mask, size, bytes)
        .await
        .map_err(|problem| match problem.code {
            ProblemCode::MaskInvalid => problem,
            _ => Problem {
                detail: format!("the mask: {}", problem.detail),
                ..problem
            },
        })?;
    let white = to_edit(opacity).ok_or_else(|| {
        Problem::new(
            ProblemCode::MaskInvalid,
            "the mask has no transparent pixel, so there is nothing to edit: make it transparent where to edit",
        )
    })?;
    let (png, checked) = stored_as(white)?;
    Ok((png, checked, share))
}

/// The transparency of a picture as its mask.
pub(super) struct Own {
    /// The picture without transparency, which would hide what is edited there.
    pub(super) picture: (Bytes, Checked),
    /// The mask, with the memory that both take.
    pub(super) mask: (Bytes, Checked, PictureShare),
}

/// The mask that the picture itself is, where it is transparent anywhere.
pub(super) async fn own(
    state: &State,
    tenant: TenantId,
    held: &Share,
    image: &Bytes,
    &Checked { format, size, .. }: &Checked,
) -> Result<Option<Own>, Problem> {
    if !format.has_alpha() {
        return Ok(None);
    }
    let (opacity, share) = upload::own_opacity(state, tenant, held, image.clone(), size).await?;
    let Some(white) = to_edit(opacity) else {
        return Ok(None);
    };
    let (mask, mask_checked) = stored_as(white)?;
    let picture = upload::opaque(state, image.clone()).await?;
    let checked = Checked {
        format: Format::Png,
        size,
        digest: Digest::of(&picture),
    };
    Ok(Some(Own {
        picture: (picture, checked),
        mask: (mask, mask_checked, share),
    }))
}

/// White where a picture of this opacity is transparent; none where it is so nowhere.
fn to_edit(mut opacity: GrayImage) -> Option<GrayImage> {
    opacity
        .iter_mut()
        .for_each(|value| *value = if *value < 128 { 255 } else { 0 });
    opacity.contains(&255).then_some(opacity)
}

fn stored_as(mask: GrayImage) -> Result<(Bytes, Checked), Problem> {
    let size = mask.dimensions();
    let png: Bytes = limekiln_pictures::encode::png(&DynamicImage::ImageLuma8(mask))?.into();
    let checked = Checked {
        format: Format::Png,
        size,
        digest: Digest::of(&png),
    };
    Ok((png, checked))
}
