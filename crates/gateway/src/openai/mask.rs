//! Masks: OpenAI's are transparent where to edit, ours white.

use bytes::Bytes;
use image::{DynamicImage, GrayImage};

use crate::State;
use crate::problem::{Problem, ProblemCode};
use crate::upload;

/// Our form of OpenAI's mask for a picture of `size` (width, height), as PNG.
pub(super) async fn converted(
    state: &State,
    mask: Bytes,
    size: (u32, u32),
) -> Result<Bytes, Problem> {
    let decoded = upload::decode(state, mask, None)
        .await
        .map_err(|problem| Problem {
            detail: format!("the mask: {}", problem.detail),
            ..problem
        })?;
    let found = decoded.picture.rgb.dimensions();
    if found != size {
        let detail = format!(
            "the mask is {}x{} and the picture {}x{}: give a mask of the picture's size",
            found.0, found.1, size.0, size.1
        );
        return Err(Problem::new(ProblemCode::MaskInvalid, detail));
    }
    let transparent = |alpha: GrayImage| {
        let mut white = alpha;
        white
            .iter_mut()
            .for_each(|value| *value = if *value < 128 { 255 } else { 0 });
        white
    };
    let white = decoded
        .picture
        .alpha
        .map(transparent)
        .filter(|white| white.contains(&255));
    let Some(white) = white else {
        return Err(Problem::new(
            ProblemCode::MaskInvalid,
            "the mask has no transparent pixel, so there is nothing to edit: make it transparent where to edit",
        ));
    };
    Ok(limekiln_pictures::encode::png(&DynamicImage::ImageLuma8(white))?.into())
}
