//! Uploaded images: rows that name blobs.

use limekiln_jobs::{Digest, ImageId, TenantId};
use time::OffsetDateTime;

use sqlx::postgres::PgRow;

use crate::row::{big, clean, digest, get, id, int, small, whole};
use crate::{Error, Result, Store};

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
    /// The image's id.
    pub id: ImageId,
    /// The tenant that uploaded it.
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
    ///
    /// # Errors
    /// [`Error::NoTenant`]; [`Error::BlobGoing`] when an image of this content was deleted minutes ago: the blob must be put
    /// under another key.
    pub async fn image_create(&self, tenant: TenantId, image: &NewImage) -> Result<Image> {
        let row = self
            .row(
                "image_create",
                sqlx::query(include_str!("sql/image_create.sql"))
                    .bind(ImageId::new().uuid())
                    .bind(tenant.uuid())
                    .bind(image.digest.bytes().as_slice())
                    .bind(clean(&image.key))
                    .bind(clean(&image.media_type))
                    .bind(big(image.bytes))
                    .bind(int(image.width))
                    .bind(int(image.height)),
            )
            .await?;
        if let Some(row) = &row {
            return self::image(row);
        }
        let going = "select exists (select from blob_deletions where key = $1)";
        let going: bool = self
            .value(
                "image_going",
                sqlx::query_scalar(going).bind(clean(&image.key)),
            )
            .await?;
        Err(if going {
            Error::BlobGoing(image.key.clone())
        } else {
            Error::NoTenant
        })
    }

    /// The tenant's image of this id.
    pub async fn image_get(&self, tenant: TenantId, id: ImageId) -> Result<Option<Image>> {
        let row = self
            .row(
                "image_get",
                sqlx::query("select * from images where id = $1 and tenant_id = $2")
                    .bind(id.uuid())
                    .bind(tenant.uuid()),
            )
            .await?;
        row.as_ref().map(image).transpose()
    }
}

fn image(row: &PgRow) -> Result<Image> {
    Ok(Image {
        id: id(row, "id")?,
        tenant: id(row, "tenant_id")?,
        key: get(row, "blob_key")?,
        digest: digest(row, "digest")?,
        media_type: get(row, "media_type")?,
        bytes: whole(row, "bytes")?,
        width: small(row, "width")?,
        height: small(row, "height")?,
        created_at: get(row, "created_at")?,
    })
}
