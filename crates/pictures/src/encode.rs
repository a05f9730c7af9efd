//! Pictures to bytes.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::imageops;
use image::{DynamicImage, ImageError, RgbImage};

use crate::error::{Error, Result, one_line};
use crate::format::Format;

/// Quality of a JPEG that is a result, 1 to 100.
const JPEG_QUALITY: u8 = 95;

/// A file of `format`. The same pixels give the same bytes. JPEG drops transparency: lay the picture on white before.
///
/// # Errors
///
/// When the encoder refuses the picture.
pub fn encode(pixels: &DynamicImage, format: Format) -> Result<Vec<u8>> {
    format.holds((pixels.width(), pixels.height()))?;
    let mut bytes = Cursor::new(Vec::new());
    match format {
        Format::Png => pixels.write_with_encoder(PngEncoder::new_with_quality(
            &mut bytes,
            CompressionType::Fast,
            FilterType::Adaptive,
        )),
        Format::Jpeg => {
            pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
        }
        Format::WebP => pixels.write_with_encoder(WebPEncoder::new_lossless(&mut bytes)),
        Format::Tiff => {
            return Err(Error::Encode {
                format: format.name(),
                reason: "it is only read".to_owned(),
            });
        }
    }
    .map_err(|error| refused(format, &error))?;
    Ok(bytes.into_inner())
}

/// A PNG file. The same pixels give the same bytes.
///
/// # Errors
///
/// As [`encode`].
pub fn png(pixels: &DynamicImage) -> Result<Vec<u8>> {
    encode(pixels, Format::Png)
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
            .map_err(|error| refused(Format::Jpeg, &error))?;
        let bytes = bytes.into_inner();
        if bytes.len() <= bytes_max {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn refused(format: Format, error: &ImageError) -> Error {
    Error::Encode {
        format: format.name(),
        reason: one_line(&error.to_string()),
    }
}
