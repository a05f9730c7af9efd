//! A file's head: what it says before a pixel is decoded, and what decoding will take.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::error::{Error, Result, one_line};
use crate::format::Format;
use crate::limits::Limits;
use crate::{jpeg, png};

/// Most bytes for each pixel that a WebP decoder holds at once. The worst is a lossy picture with transparency: planes 1.5,
/// transparency 1 and the green that it is read from 5, colors 4.
const WEBP_PIXEL_BYTES: u64 = 12;

/// A file whose head was read and found within the limits.
pub(crate) struct Head<'a> {
    pub(crate) format: Format,
    /// As stored, before it is turned upright.
    pub(crate) size: (u32, u32),
    pub(crate) orientation: Orientation,
    pub(crate) alpha: bool,
    /// Most bytes that the decoder holds at once while it only checks.
    pub(crate) check_bytes: u64,
    /// Most bytes that the decoder holds at once beside the picture that it fills.
    pub(crate) decoder_bytes: u64,
    pub(crate) pixels: Pixels<'a>,
}

/// Where the pixels come from.
pub(crate) enum Pixels<'a> {
    /// Row by row.
    Rows(Box<png::Rows<'a>>),
    /// All at once.
    Whole(Box<dyn ImageDecoder + 'a>),
}

impl<'a> Head<'a> {
    pub(crate) fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        let count = bytes.len() as u64;
        if count == 0 {
            return Err(Error::Empty);
        }
        if count > limits.bytes_max {
            return Err(Error::Bytes {
                bytes: count,
                bytes_max: limits.bytes_max,
            });
        }
        let reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|_| Error::NotAPicture)?;
        match reader.format() {
            Some(ImageFormat::Png) => Self::png(bytes, limits),
            Some(ImageFormat::Jpeg) => Self::whole(Format::Jpeg, bytes, reader, limits),
            Some(ImageFormat::WebP) => Self::whole(Format::WebP, bytes, reader, limits),
            Some(other) => Err(Error::Format(format!("{other:?}").to_uppercase())),
            None => Err(Error::NotAPicture),
        }
    }

    fn png(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        let size = png::size(bytes)?;
        bounded(size, limits)?;
        let rows = png::Rows::open(bytes, limits.decoder_bytes_max)?;
        Ok(Self {
            format: Format::Png,
            size,
            orientation: rows.orientation(),
            alpha: rows.has_alpha(),
            check_bytes: rows.row_bytes(),
            decoder_bytes: rows.row_bytes() + rows.frame_bytes(),
            pixels: Pixels::Rows(Box::new(rows)),
        })
    }

    fn whole(
        format: Format,
        bytes: &'a [u8],
        mut reader: ImageReader<Cursor<&'a [u8]>>,
        limits: &Limits,
    ) -> Result<Self> {
        let mut allowed = image::Limits::no_limits();
        allowed.max_alloc = Some(limits.decoder_bytes_max);
        reader.limits(allowed);
        let mut decoder = reader
            .into_decoder()
            .map_err(|error| explain(&error, format))?;
        let size = decoder.dimensions();
        bounded(size, limits)?;
        let area = u64::from(size.0) * u64::from(size.1);
        let color = decoder.color_type();
        let out = area * u64::from(color.bytes_per_pixel());
        let check_bytes = match format {
            // The decoder copies the file.
            Format::Jpeg => bytes.len() as u64 + jpeg::coefficient_bytes(bytes) + out,
            Format::Png | Format::WebP => area * WEBP_PIXEL_BYTES,
        };
        // A picture of three channels is the decoder's own buffer; others are converted.
        let decoder_bytes = match color.channel_count() {
            3 => check_bytes - out.min(check_bytes),
            _ => check_bytes,
        };
        Ok(Self {
            format,
            size,
            // A broken EXIF block is no reason to refuse a sound picture.
            orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
            alpha: color.has_alpha(),
            check_bytes,
            decoder_bytes,
            pixels: Pixels::Whole(Box::new(decoder)),
        })
    }

    /// Whether turning it upright swaps its sides.
    pub(crate) fn is_turned(&self) -> bool {
        matches!(
            self.orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        )
    }
}

fn bounded((width, height): (u32, u32), limits: &Limits) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::NoPixels { width, height });
    }
    if width.max(height) > limits.side_max
        || u64::from(width) * u64::from(height) > limits.pixels_max
    {
        return Err(Error::Pixels {
            width,
            height,
            side_max: limits.side_max,
            pixels_max: limits.pixels_max,
        });
    }
    Ok(())
}

/// What a codec of `image` says.
pub(crate) fn explain(error: &ImageError, format: Format) -> Error {
    let format = format.name();
    match error {
        ImageError::Limits(_) => Error::Memory(format),
        ImageError::Unsupported(what) => Error::Unsupported {
            format,
            what: what.to_string(),
        },
        other => Error::Damaged {
            format,
            reason: one_line(&other.to_string()),
        },
    }
}
