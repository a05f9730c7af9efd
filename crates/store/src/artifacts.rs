//! Results that rows refer to.

use limekiln_jobs::{ArtifactKind, Digest, EditId, TenantId};

use crate::row::{digest, get, small_opt, whole, word};
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
        row.map(|row| {
            Ok(ArtifactRef {
                kind: word(&row, "kind")?,
                key: get(&row, "blob_key")?,
                digest: digest(&row, "digest")?,
                bytes: whole(&row, "bytes")?,
                media_type: get(&row, "media_type")?,
                width: small_opt(&row, "width")?,
                height: small_opt(&row, "height")?,
            })
        })
        .transpose()
    }
}
