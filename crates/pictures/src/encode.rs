//! Pictures to bytes.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops;
use image::{DynamicImage, ImageError, RgbImage};

use crate::error::{Error, Result};

/// A PNG file. The same pixels give the same bytes.
///
/// # Errors
///
/// When the encoder refuses the picture.
pub fn png(pixels: &DynamicImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
    pixels
        .write_with_encoder(encoder)
        .map_err(|error| refused("PNG", &error))?;
    Ok(bytes.into_inner())
}

/// A JPEG of at most `side_px` pixels a side and `bytes_max` bytes; none where even the coarsest is larger.
///
/// # Errors
///
/// When the encoder refuses the picture.
pub fn preview(picture: &RgbImage, side_px: u32, bytes_max: usize) -> Result<Option<Vec<u8>>> {
    let longer = picture.width().max(picture.height()).max(1);
    let shown = if longer > side_px {
        let side = |side: u32| (side * side_px / longer).max(1);
        imageops::thumbnail(picture, side(picture.width()), side(picture.height()))
    } else {
        picture.clone()
    };
    for quality in [80, 60, 40, 20, 5] {
        let mut bytes = Cursor::new(Vec::new());
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode_image(&shown)
            .map_err(|error| refused("JPEG", &error))?;
        let bytes = bytes.into_inner();
        if bytes.len() <= bytes_max {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn refused(format: &'static str, error: &ImageError) -> Error {
    Error::Encode {
        format,
        reason: error
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    }
}
