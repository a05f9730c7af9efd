//! What `limekiln session show` writes: the picture at the head, and the matte of all turns up to it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use image::GrayImage;
use limekiln_jobs::api::SessionTree;
use limekiln_jobs::{ArtifactKind, EditId};
use limekiln_pictures::{Limits, encode, matte_decode, probe};

use super::client::{Client, Refused};
use crate::output;
use crate::target::Target;

/// Writes the picture at the head.
///
/// # Errors
///
/// What the gateway says; where nothing can be written.
pub(super) async fn picture(client: &Client, tree: &SessionTree, path: &Path) -> Result<()> {
    let target = Target::new(path, &[])?;
    let head = head(tree)?;
    let file = client.result_get(head, target.format()).await?;
    target.write(&file.bytes, file.format).map(drop)
}

/// Writes the union of the mattes of the turns up to the head: what is black in it, no turn has touched.
///
/// # Errors
///
/// Where a turn has none; what the gateway says; where nothing can be written.
pub(super) async fn matte(client: &Client, tree: &SessionTree, path: &Path) -> Result<()> {
    let mut union: Option<GrayImage> = None;
    let mut at = Some(head(tree)?);
    while let Some(turn) = tree.tree.iter().find(|turn| Some(turn.id) == at) {
        let file = client.artifact_get(turn.id, ArtifactKind::Matte).await;
        let file = match file {
            Err(error) if is_missing(&error) => bail!(
                "turn {} has no matte: its result is the model's own picture, or not there yet",
                turn.number
            ),
            file => file?,
        };
        let read = probe(&file, &Limits::ACCEPTED)
            .and_then(|head| matte_decode(&file, (head.width, head.height), &Limits::ACCEPTED));
        let read = read.with_context(|| format!("the matte of turn {}", turn.number))?;
        match &mut union {
            Some(union) if union.dimensions() != read.dimensions() => {
                bail!("turn {} has another size than those after it", turn.number)
            }
            Some(union) => union
                .iter_mut()
                .zip(read.iter())
                .for_each(|(pixel, more)| *pixel = (*pixel).max(*more)),
            None => union = Some(read),
        }
        at = turn.parent;
    }
    let union = union.context("the session has no such head: try again")?;
    output::write(
        path,
        &encode(&union.into(), limekiln_pictures::Format::Png)?,
    )
}

fn head(tree: &SessionTree) -> Result<EditId> {
    let head = tree.session.head;
    head.context("the head is at the picture itself: no turn has changed it")
}

fn is_missing(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| {
        ["artifact_not_found", "edit_unfinished"].contains(&refused.code.as_str())
    })
}
