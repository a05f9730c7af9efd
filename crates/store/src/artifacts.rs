//! Results that rows refer to.

use limekiln_jobs::{ArtifactKind, Digest, EditId, ImageId, TenantId};
use sqlx::postgres::PgRow;

use crate::row::{digest, get, id, small_opt, whole, word};
use crate::{Result, Store};

/// A blob that an edit's completion refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// What the blob shows.
    pub kind: ArtifactKind,
    /// Key of the blob.
    pub key: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// Media type.
    pub media_type: String,
    /// Pixels across, of a picture.
    pub width: Option<u32>,
    /// Pixels down, of a picture.
    pub height: Option<u32>,
}

/// An artifact of a succeeded edit.
pub type ArtifactRef = NewArtifact;

/// A picture that edits start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureId {
    /// As it was uploaded.
    Image(ImageId),
    /// The result of an edit.
    Edit(EditId),
}

impl Store {
    /// The artifact of the tenant's edit.
    pub async fn artifact_get(
        &self,
        tenant: TenantId,
        edit: EditId,
        kind: ArtifactKind,
    ) -> Result<Option<ArtifactRef>> {
        let row = self
            .row(
                "artifact_get",
                sqlx::query(
                    "select a.*
                    from edits e
                    join artifacts a on a.edit_id = e.id
                    where e.id = $1 and e.tenant_id = $2 and a.kind = $3",
                )
                .bind(edit.uuid())
                .bind(tenant.uuid())
                .bind(kind.as_str()),
            )
            .await?;
        row.as_ref().map(artifact).transpose()
    }

    /// The newest segmentation of a picture, an image's or that of an edit's result: the edit that made it, and its labels.
    pub async fn segmentation_get(
        &self,
        tenant: TenantId,
        picture: PictureId,
    ) -> Result<Option<(EditId, ArtifactRef)>> {
        let picture = match picture {
            PictureId::Image(image) => image.uuid(),
            PictureId::Edit(edit) => edit.uuid(),
        };
        let row = self
            .row(
                "segmentation_get",
                sqlx::query(
                    "select e.id, a.*
                    from (
                        select e.id from edits e
                        where coalesce(e.image_id, e.parent_id) = $1 and e.spec ? 'segments'
                            and e.tenant_id is not distinct from $2 and e.state is not distinct from 'succeeded'
                        order by coalesce(e.image_id, e.parent_id) desc, e.id desc
                        limit 1
                    ) e
                    join artifacts a on a.edit_id = e.id
                    where a.kind = 'labels'",
                )
                .bind(picture)
                .bind(tenant.uuid()),
            )
            .await?;
        row.map(|row| Ok((id(&row, "id")?, artifact(&row)?)))
            .transpose()
    }
}

fn artifact(row: &PgRow) -> Result<ArtifactRef> {
    Ok(ArtifactRef {
        kind: word(row, "kind")?,
        key: get(row, "blob_key")?,
        digest: digest(row, "digest")?,
        bytes: whole(row, "bytes")?,
        media_type: get(row, "media_type")?,
        width: small_opt(row, "width")?,
        height: small_opt(row, "height")?,
    })
}
