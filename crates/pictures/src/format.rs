//! File formats.

use crate::error::{Error, Result};
use crate::original::Depth;

/// A format that is read. All but TIFF are written, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PNG; of an animated one the first picture is read.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP; of an animated one the first picture is read. Written without loss.
    WebP,
    /// TIFF; of several pictures the first is read. Not written.
    Tiff,
}

impl Format {
    /// Those that are written.
    pub const WRITTEN: [Self; 3] = [Self::Png, Self::Jpeg, Self::WebP];

    /// As the API names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::WebP => "webp",
            Self::Tiff => "tiff",
        }
    }

    /// Name of its files after the last dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Tiff => "tif",
        }
    }

    /// Checks that a picture of `size` (width, height) can be written.
    ///
    /// # Errors
    ///
    /// When a side is longer than the format can say.
    pub fn holds(self, size: (u32, u32)) -> Result<()> {
        let side_max = match self {
            Self::Png | Self::Tiff => u32::MAX,
            Self::Jpeg => 65_535,
            Self::WebP => 16_383,
        };
        if size.0.max(size.1) <= side_max {
            return Ok(());
        }
        Err(Error::Side {
            format: self.name(),
            size,
            side_max,
        })
    }

    /// As in `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Tiff => "image/tiff",
        }
    }

    /// Whether a pixel that is written is the pixel that is read back.
    pub fn is_lossless(self) -> bool {
        self != Self::Jpeg
    }

    /// Most bits of a sample that can be written.
    pub fn depth(self) -> Depth {
        match self {
            Self::Png | Self::Tiff => Depth::Sixteen,
            Self::Jpeg | Self::WebP => Depth::Eight,
        }
    }

    /// Whether transparency can be written.
    pub fn has_alpha(self) -> bool {
        self != Self::Jpeg
    }

    /// In messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WEBP",
            Self::Tiff => "TIFF",
        }
    }
}
