//! Uploaded images: rows that name blobs.

use limekiln_jobs::{Digest, ImageId, TenantId};
use time::OffsetDateTime;

use crate::{Result, Store};

/// An upload, after its blob was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// Key of the blob.
    pub key: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Media type, sniffed.
    pub media_type: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Key of the blob.
    pub key: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Media type.
    pub media_type: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// When it was first uploaded.
    pub created_at: OffsetDateTime,
}

impl Store {
    /// Records an upload. The same content of the same tenant is the same row, made young again.
    pub async fn image_create(&self, tenant: TenantId, image: &NewImage) -> Result<Image> {
        let _ = (tenant, image);
        todo!()
    }

    /// The tenant's image of this id.
    pub async fn image_get(&self, tenant: TenantId, id: ImageId) -> Result<Option<Image>> {
        let _ = (tenant, id);
        todo!()
    }
}
