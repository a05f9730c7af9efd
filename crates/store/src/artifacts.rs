//! Results that rows refer to.

use limekiln_jobs::{ArtifactKind, Digest, EditId, TenantId};

use crate::{Result, Store};

/// A blob that an edit's completion refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// What it is.
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
        let _ = (tenant, edit, kind);
        todo!()
    }
}
