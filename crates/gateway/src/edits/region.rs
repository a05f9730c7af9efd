//! From the region that a user names to the mask that the edit gets.

use bytes::Bytes;
use image::GrayImage;
use limekiln_jobs::request::{Region, RegionPart};
use limekiln_jobs::{ArtifactKind, Digest, EditId, EditRequest, ImageId, TenantId};
use limekiln_pictures::{Format, Labels, Limits, encode, matte_decode};
use limekiln_store::PictureId;

use crate::State;
use crate::edits::{artifacts, read};
use crate::leaving;
use crate::problem::{Problem, ProblemCode};
use crate::segmentations::newest;
use crate::upload::{self, Checked};

/// A region, drawn.
pub(crate) struct Drawn {
    /// The mask: white inside.
    pub(crate) mask: ImageId,
    /// The picture that it is of. An edit at its session's head is of this one, wherever the head goes meanwhile.
    pub(crate) picture: PictureId,
}

/// What a part of a region is drawn from.
enum Source {
    Segments(Vec<u32>),
    Points(Vec<[u32; 2]>),
    /// The file of an earlier edit's region.
    Region(Bytes),
}

/// Draws the region of an edit as a mask, and stores it as an image of the tenant.
pub(crate) async fn draw(
    state: &State,
    tenant: TenantId,
    request: &EditRequest,
    region: &Region,
) -> Result<Drawn, Problem> {
    let picture = picture(state, tenant, request).await?;
    let size = size(state, tenant, picture).await?;
    let mut sources = Vec::new();
    let mut labels = None;
    for (name, taken, part) in region.parts() {
        let source = match part {
            RegionPart {
                edit: Some(edit), ..
            } => Source::Region(region_of(state, tenant, edit, picture, (&name, size)).await?),
            RegionPart {
                segmentation,
                segments,
                points,
                ..
            } => {
                let current = newest(state, tenant, picture).await?;
                if let Some(named) = segmentation.filter(|named| *named != current.0) {
                    same(state, tenant, named, (current.0, &current.1.digest)).await?;
                }
                labels = Some(current.1);
                match segments {
                    Some(segments) => Source::Segments(segments),
                    None => Source::Points(points.unwrap_or_default()),
                }
            }
        };
        sources.push((name, taken, source));
    }
    let labels = match labels {
        Some(labels) => Some(leaving::read(state, &labels.key, &labels.digest).await?),
        None => None,
    };
    // The mask, a part of it, the files and what they are decoded through.
    let needed = 4 * u64::from(size.0) * u64::from(size.1) + (16 << 20);
    let share = state
        .memory
        .pictures(tenant, None, needed, leaving::too_large)
        .await?;
    let permit = upload::turn(state).await?;
    let drawing = tokio::task::spawn_blocking(move || {
        let _held = (share, permit);
        drawn(size, labels.as_deref(), sources)
    });
    let png = drawing.await.map_err(|error| Problem::internal(&error))??;
    let checked = Checked {
        format: Format::Png,
        size,
        digest: Digest::of(&png),
    };
    let image = upload::put(state, tenant, png.into(), &checked).await?;
    Ok(Drawn {
        mask: image.id,
        picture,
    })
}

/// The picture that an edit starts from.
async fn picture(
    state: &State,
    tenant: TenantId,
    request: &EditRequest,
) -> Result<PictureId, Problem> {
    match (request.image, request.parent, request.session) {
        (Some(image), ..) => Ok(PictureId::Image(image)),
        (None, Some(parent), _) => Ok(PictureId::Edit(parent)),
        (None, None, Some(session)) => {
            let found = state.services.store.session_get(tenant, session).await?;
            let session = found.ok_or_else(|| Problem::plain(ProblemCode::SessionNotFound))?;
            let head = session.head.map(PictureId::Edit);
            head.or(session.image.map(PictureId::Image))
                .ok_or_else(|| Problem::plain(ProblemCode::SessionEmpty))
        }
        (None, None, None) => Err(Problem::field("image", "must be given")),
    }
}

async fn size(state: &State, tenant: TenantId, picture: PictureId) -> Result<(u32, u32), Problem> {
    match picture {
        PictureId::Image(image) => {
            let found = state.services.store.image_get(tenant, image).await?;
            let image = found.ok_or_else(|| Problem::plain(ProblemCode::ImageNotFound))?;
            Ok((image.width, image.height))
        }
        PictureId::Edit(edit) => {
            let result = artifacts::picture(state, tenant, edit).await?;
            let size = result.width.zip(result.height);
            size.ok_or_else(|| Problem::plain(ProblemCode::ArtifactNotFound))
        }
    }
}

/// Checks that a segmentation has the same segments as the current one.
async fn same(
    state: &State,
    tenant: TenantId,
    named: EditId,
    (current, digest): (EditId, &Digest),
) -> Result<(), Problem> {
    let store = &state.services.store;
    let labels = store.artifact_get(tenant, named, ArtifactKind::Labels);
    match labels.await? {
        Some(labels) if labels.digest == *digest => Ok(()),
        Some(_) => Err(Problem::new(
            ProblemCode::SegmentationOutdated,
            format!("the picture's segmentation is {current} now: GET it, and name its segments"),
        )),
        None => Err(Problem::new(
            ProblemCode::SegmentationNotFound,
            format!("there is no segmentation {named}: the picture's is {current}"),
        )),
    }
}

/// The file of the region of an edit on the same picture.
async fn region_of(
    state: &State,
    tenant: TenantId,
    edit: EditId,
    picture: PictureId,
    (name, size): (&str, (u32, u32)),
) -> Result<Bytes, Problem> {
    let earlier = read::find(state, tenant, edit).await?;
    let root = match picture {
        PictureId::Image(image) => (Some(image), None),
        PictureId::Edit(parent) => {
            let parent = read::find(state, tenant, parent).await?;
            (parent.image, parent.session)
        }
    };
    let root = match root {
        (None, Some(session)) => {
            let found = state.services.store.session_get(tenant, session).await?;
            (found.and_then(|session| session.image), Some(session))
        }
        root => root,
    };
    let built_on = match picture {
        PictureId::Edit(parent) => edit == parent || earlier.parent == Some(parent),
        PictureId::Image(_) => false,
    };
    let related = built_on
        || earlier.image.is_some() && earlier.image == root.0
        || earlier.session.is_some() && earlier.session == root.1;
    let other = || Problem::field(&format!("{name}.edit"), "is an edit of another picture");
    // A turn deeper in the tree of the session that starts from this image.
    let related = related
        || match (earlier.session, root.0) {
            (Some(session), Some(image)) => {
                let found = state.services.store.session_get(tenant, session).await?;
                found.is_some_and(|session| session.image == Some(image))
            }
            _ => false,
        };
    if !related {
        return Err(other());
    }
    let roi = artifacts::find(state, tenant, edit, ArtifactKind::Roi).await?;
    if roi.width.zip(roi.height) != Some(size) {
        return Err(other());
    }
    leaving::read(state, &roi.key, &roi.digest).await
}

/// The mask as PNG.
fn drawn(
    size: (u32, u32),
    labels: Option<&[u8]>,
    sources: Vec<(String, bool, Source)>,
) -> Result<Vec<u8>, Problem> {
    let labels = labels.map(Labels::read).transpose()?;
    let none = || Problem::plain(ProblemCode::SegmentationNotFound);
    let mut mask = GrayImage::new(size.0, size.1);
    for (name, taken, source) in sources {
        let value = if taken { 0 } else { 255 };
        let numbers = match source {
            Source::Region(file) => {
                let region = matte_decode(&file, size, &Limits::ACCEPTED)?;
                for (pixel, inside) in mask.iter_mut().zip(region.iter()) {
                    if *inside > 127 {
                        *pixel = value;
                    }
                }
                continue;
            }
            Source::Segments(segments) => {
                let count = labels.as_ref().ok_or_else(none)?.count();
                let wrong = segments.iter().find(|number| !(1..=count).contains(number));
                if let Some(wrong) = wrong {
                    let says = format!("has {wrong}, and the segments are numbered 1 to {count}");
                    return Err(Problem::field(&format!("{name}.segments"), says));
                }
                segments
            }
            Source::Points(points) => {
                let labels = labels.as_ref().ok_or_else(none)?;
                let (width, height) = size;
                let wrong = points.iter().find(|[x, y]| *x >= width || *y >= height);
                if let Some([x, y]) = wrong {
                    let says = format!(
                        "has [{x}, {y}], which lies outside of the picture: it is {width}x{height}, and its first pixel is [0, 0]"
                    );
                    return Err(Problem::field(&format!("{name}.points"), says));
                }
                let under = points.iter().map(|[x, y]| labels.at((*x, *y), size).into());
                under.collect()
            }
        };
        let labels = labels.as_ref().ok_or_else(none)?;
        labels.lay(&mut mask, value, |number| {
            number != 0 && numbers.contains(&number.into())
        });
    }
    if mask.iter().all(|pixel| *pixel == 0) {
        let says = "has nothing in it: nothing would be edited";
        return Err(Problem::field("region", says));
    }
    Ok(encode(&mask.into(), Format::Png)?)
}
