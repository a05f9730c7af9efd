//! `limekiln segments`, and regions that are named by segments.

use anyhow::{Result, bail};
use limekiln_jobs::api::{AcceptedEdit, SegmentationRequest, SegmentationView, SessionView};
use limekiln_jobs::request::{Region, RegionPart};
use limekiln_jobs::{EditId, ImageId, SessionId, StateName};
use reqwest::Method;

use super::client::{Client, Refused};
use super::submit::read;
use crate::args::{RegionArgs, SegmentsArgs};
use crate::output::{self, print};

/// A picture at a gateway.
#[derive(Clone, Copy)]
pub(super) enum Picture {
    Image(ImageId),
    Result(EditId),
    /// At a session's head.
    Head(SessionId),
}

/// `limekiln segments`.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &SegmentsArgs) -> Result<()> {
    let client = Client::new(&args.gateway.url, &args.gateway.key)?;
    let picture = match (&args.image, args.session) {
        (Some(path), _) => Picture::Image(client.image_create(read(path)?).await?.id),
        (None, Some(session)) => Picture::Head(session),
        (None, None) => bail!("name a picture or a --session"),
    };
    let path = path(&client, picture).await?;
    let found = match args.anew {
        true => made(&client, &path).await?,
        false => segmentation(&client, &path).await?,
    };
    if let Some(file) = &args.output {
        output::write(file, &client.bytes_get(&found.labels).await?)?;
    }
    print(&match args.json {
        true => serde_json::to_string(&found)?,
        false => listed(&found),
    });
    Ok(())
}

/// The region that arguments name on a picture; none where they name none.
///
/// # Errors
///
/// What the gateway says.
pub(super) async fn region(
    client: &Client,
    args: &RegionArgs,
    picture: Picture,
) -> Result<Option<Region>> {
    if !args.is_given() {
        return Ok(None);
    }
    let by_segment =
        !args.segments.is_empty() || !args.point.is_empty() || !args.except_point.is_empty();
    let segmentation = match by_segment {
        true => Some(
            segmentation(client, &path(client, picture).await?)
                .await?
                .id,
        ),
        false => None,
    };
    let points = |points: &[crate::args::Point]| RegionPart {
        points: Some(points.iter().map(|point| point.0).collect()),
        ..RegionPart::default()
    };
    let mut parts = Vec::new();
    if !args.segments.is_empty() {
        parts.push(RegionPart {
            segmentation,
            segments: Some(args.segments.clone()),
            ..RegionPart::default()
        });
    }
    if !args.point.is_empty() {
        parts.push(points(&args.point));
    }
    parts.extend(args.region_of.iter().map(|edit| RegionPart {
        edit: Some(*edit),
        ..RegionPart::default()
    }));
    let first = parts.remove(0);
    let subtract = match args.except_point.is_empty() {
        true => Vec::new(),
        false => vec![points(&args.except_point)],
    };
    Ok(Some(Region {
        segmentation: first.segmentation,
        segments: first.segments,
        points: first.points,
        edit: first.edit,
        add: parts,
        subtract,
    }))
}

async fn path(client: &Client, picture: Picture) -> Result<String> {
    Ok(match picture {
        Picture::Image(image) => format!("/v1/images/{image}/segmentation"),
        Picture::Result(edit) => format!("/v1/edits/{edit}/segmentation"),
        Picture::Head(session) => {
            let path = format!("/v1/sessions/{session}");
            let view: SessionView = client.json(Method::GET, &path, None::<&()>).await?;
            match (view.head, view.image) {
                (Some(edit), _) => format!("/v1/edits/{edit}/segmentation"),
                (None, Some(image)) => format!("/v1/images/{image}/segmentation"),
                (None, None) => bail!("the session has no picture yet: post a turn with one first"),
            }
        }
    })
}

/// The picture's segmentation, made where it has none.
async fn segmentation(client: &Client, path: &str) -> Result<SegmentationView> {
    match client.json(Method::GET, path, None::<&()>).await {
        Err(error)
            if error
                .downcast_ref::<Refused>()
                .is_some_and(|refused| refused.code == "segmentation_not_found") =>
        {
            made(client, path).await
        }
        found => found,
    }
}

async fn made(client: &Client, path: &str) -> Result<SegmentationView> {
    let asked = SegmentationRequest::default();
    let accepted: AcceptedEdit = client.json(Method::POST, path, Some(&asked)).await?;
    client.edit_follow(accepted.id, |_| {}).await?;
    let edit = client.edit_get(accepted.id).await?;
    if edit.state != StateName::Succeeded {
        let reason = edit.error.map(|error| format!(": {}", error.message));
        bail!(
            "the segmentation {} {}{}",
            edit.id,
            edit.state,
            reason.unwrap_or_default()
        );
    }
    client.json(Method::GET, path, None::<&()>).await
}

fn listed(found: &SegmentationView) -> String {
    let parts = &found.parts;
    let all = u64::from(parts.width) * u64::from(parts.height);
    let mut lines = vec![format!("segmentation {}", found.id)];
    lines.extend(parts.segments.iter().map(|part| {
        let [left, top, width, height] = part.bounds;
        let share = 100.0 * part.area as f64 / all.max(1) as f64;
        format!(
            "{:>5}  {share:>5.1} %  {width}x{height} at {left},{top}  {}",
            part.number, part.color
        )
    }));
    lines.join("\n")
}
