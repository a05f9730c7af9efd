//! What a file says beside its pixels.

use image::metadata::Orientation;

use crate::container::Resolution;

/// What a file says beside its pixels and colors, as the result will say it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// EXIF from its byte order mark on: a TIFF structure, with the orientation reset and without embedded thumbnail.
    pub exif: Option<Vec<u8>>,
    /// The XMP packet, with the orientation reset.
    pub xmp: Option<Vec<u8>>,
    /// How large a pixel is.
    pub resolution: Option<Resolution>,
    /// How the file stores the picture. Samples here are upright; a JPEG that keeps its blocks keeps this.
    pub stored: Orientation,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            exif: None,
            xmp: None,
            resolution: None,
            stored: Orientation::NoTransforms,
        }
    }
}
