//! Uploaded images.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::digest::Digest;
use crate::ids::ImageId;

/// An uploaded image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImageView {
    /// Id of the image, for the fields `image` and `mask` of an edit.
    pub id: ImageId,
    /// Media type, found by looking at the bytes.
    #[schema(example = "image/png")]
    pub media_type: String,
    /// Length of the file in bytes.
    #[schema(example = 412_307, minimum = 1)]
    pub bytes: u64,
    /// Width in pixels, once the image is turned upright.
    #[schema(example = 512, minimum = 1)]
    pub width: u32,
    /// Height in pixels, once the image is turned upright.
    #[schema(example = 512, minimum = 1)]
    pub height: u32,
    /// BLAKE3 digest of the file.
    pub digest: Digest,
    /// When it was first uploaded.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Paths of the image on this server.
    pub links: ImageLinks,
}

/// Paths of an image on this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageLinks {
    /// The image's description.
    #[serde(rename = "self")]
    #[schema(example = "/v1/images/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57")]
    pub this: String,
    /// The file as it was uploaded.
    #[schema(example = "/v1/images/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57/content")]
    pub content: String,
}

impl ImageLinks {
    /// The links of this image.
    pub fn new(image: ImageId) -> Self {
        let this = format!("/v1/images/{image}");
        Self {
            content: format!("{this}/content"),
            this,
        }
    }
}
