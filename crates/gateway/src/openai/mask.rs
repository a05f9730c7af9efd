//! Masks: OpenAI's are transparent where to edit, ours white.

use bytes::Bytes;
use image::DynamicImage;
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
    let mut white = opacity;
    white
        .iter_mut()
        .for_each(|value| *value = if *value < 128 { 255 } else { 0 });
    if !white.contains(&255) {
        return Err(Problem::new(
            ProblemCode::MaskInvalid,
            "the mask has no transparent pixel, so there is nothing to edit: make it transparent where to edit",
        ));
    }
    let png: Bytes = limekiln_pictures::encode::png(&DynamicImage::ImageLuma8(white))?.into();
    let checked = Checked {
        format: Format::Png,
        size,
        digest: Digest::of(&png),
    };
    Ok((png, checked, share))
}
