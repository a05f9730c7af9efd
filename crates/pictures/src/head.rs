//! A file's head: what it says before a pixel is decoded, and what decoding will take.

use std::borrow::Cow;
use std::io::Cursor;

use image::metadata::Orientation;
use image::{ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::container::{self, Packets, is_turned};
use crate::error::{Error, Result, one_line};
use crate::format::Format;
use crate::inks::Inks;
use crate::limits::Limits;
use crate::original::{Depth, Kind, brightness_check, orientation};
use crate::sniff::format_of;
use crate::{entropy, jpeg, png};

/// A file whose head was read and found within the limits.
pub(crate) struct Head<'a> {
    pub(crate) format: Format,
    /// As stored, before it is turned upright.
    pub(crate) size: (u32, u32),
    pub(crate) orientation: Orientation,
    pub(crate) kind: Kind,
    pub(crate) depth: Depth,
    pub(crate) alpha: bool,
    /// Most bytes that the decoder holds at once while it only checks.
    pub(crate) check_bytes: u64,
    /// Most bytes that the decoder holds at once beside the picture that it fills.
    pub(crate) decoder_bytes: u64,
    pub(crate) packets: Packets,
    pub(crate) pixels: Pixels<'a>,
}

/// Where the pixels come from.
pub(crate) enum Pixels<'a> {
    /// Row by row.
    Rows(Box<png::Rows<'a>>),
    /// All at once.
    Whole(Box<dyn ImageDecoder + 'a>),
    /// All at once, as inks.
    Inks(Box<Inks<'a>>),
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
        let head = match format_of(bytes)? {
            Format::Png => Self::png(bytes, limits),
            format => Self::whole(format, bytes, limits),
        }?;
        brightness_check(&head.packets)?;
        Ok(head)
    }

    fn png(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        let size = png::size(bytes)?;
        bounded(size, limits)?;
        let rows = png::Rows::open(bytes, limits.decoder_bytes_max)?;
        let packets = container::png::packets(bytes);
        let held = packets.held();
        Ok(Self {
            format: Format::Png,
            size,
            orientation: orientation(&packets),
            kind: rows.kind(),
            depth: rows.depth(),
            alpha: rows.has_alpha(),
            check_bytes: rows.row_bytes() + held,
            decoder_bytes: rows.row_bytes() + rows.frame_bytes(),
            packets,
            pixels: Pixels::Rows(Box::new(rows)),
        })
    }

    fn whole(format: Format, bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        if let Some((name, how)) = jpeg::unread(bytes).filter(|_| format == Format::Jpeg) {
            return Err(Error::Format { name, how });
        }
        let codec = match format {
            Format::Png => ImageFormat::Png,
            Format::Jpeg => ImageFormat::Jpeg,
            Format::WebP => ImageFormat::WebP,
            Format::Tiff => ImageFormat::Tiff,
        };
        let packets = match format {
            Format::Png => container::png::packets(bytes),
            Format::Jpeg => container::jpeg::packets(bytes),
            Format::WebP => container::webp::packets(bytes),
            Format::Tiff => container::tiff::packets(bytes)?,
        };
        let file = match format {
            Format::Jpeg => whole_jpeg(bytes)?,
            _ => Cow::Borrowed(bytes),
        };
        let mut reader = ImageReader::with_format(Cursor::new(file.clone()), codec);
        let mut allowed = image::Limits::no_limits();
        allowed.max_alloc = Some(limits.decoder_bytes_max);
        reader.limits(allowed);
        let decoder = reader
            .into_decoder()
            .map_err(|error| explain(&error, format))?;
        let size = decoder.dimensions();
        bounded(size, limits)?;
        let area = u64::from(size.0) * u64::from(size.1);
        let color = decoder.color_type();
        let out = area * u64::from(color.bytes_per_pixel());
        let held = packets.held();
        let inks = match format {
            Format::Jpeg => Inks::open(file.clone(), size)?,
            _ => None,
        };
        let cmyk = [ExtendedColorType::Cmyk8, ExtendedColorType::Cmyk16];
        if format == Format::Tiff && cmyk.contains(&decoder.original_color_type()) {
            return Err(Error::Unsupported {
                format: format.name(),
                what: "CMYK".to_owned(),
            });
        }
        let check_bytes = match format {
            // A fourth channel, which is converted a row at a time.
            Format::Jpeg if inks.is_some() => jpeg::coefficient_bytes(bytes) + area * 4,
            // The decoder copies the file.
            Format::Jpeg => bytes.len() as u64 + jpeg::coefficient_bytes(bytes) + out,
            // The decoder copies the data of a picture with loss.
            Format::Png | Format::WebP => {
                bytes.len() as u64 + area * container::webp::pixel_bytes(bytes)
            }
            // All samples as they are stored, a strip of them, and as they are given out.
            Format::Tiff => bytes.len() as u64 + 3 * out,
        };
        // A picture of three channels is the decoder's own buffer; others are converted.
        // A copy with an end marker, and the decoder's own of that.
        let check_bytes = match &file {
            Cow::Owned(copy) => check_bytes + 2 * copy.len() as u64,
            Cow::Borrowed(_) => check_bytes,
        };
        let decoder_bytes = match color.channel_count() {
            3 if inks.is_none() => check_bytes - out.min(check_bytes),
            _ => check_bytes,
        };
        // Gray goes to sRGB by way of 16 bits.
        let decoder_bytes = match color.channel_count() {
            1 | 2 if packets.icc.is_some() => decoder_bytes + area * 8,
            _ => decoder_bytes,
        };
        let depth = match color.bytes_per_pixel() / color.channel_count() {
            1 => Depth::Eight,
            2 => Depth::Sixteen,
            _ => {
                return Err(Error::Unsupported {
                    format: format.name(),
                    what: "numbers of 32 bits".to_owned(),
                });
            }
        };
        Ok(Self {
            format,
            size,
            orientation: orientation(&packets),
            kind: match color.channel_count() {
                _ if inks.is_some() => Kind::Cmyk,
                1 | 2 => Kind::Gray,
                _ => Kind::Rgb,
            },
            depth,
            alpha: color.has_alpha(),
            check_bytes: check_bytes + held,
            decoder_bytes,
            packets,
            pixels: match inks {
                Some(inks) => Pixels::Inks(Box::new(inks)),
                None => Pixels::Whole(Box::new(decoder)),
            },
        })
    }

    /// Whether turning it upright swaps its sides.
    pub(crate) fn is_turned(&self) -> bool {
        is_turned(self.orientation)
    }

    /// Most bytes beside pixels that whoever reads the file holds.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.packets.held()
    }
}

impl Packets {
    /// A packet and its copy, and the tables of a conversion.
    fn held(&self) -> u64 {
        2 * self.bytes()
            + if self.icc.is_some() {
                CONVERSION_BYTES
            } else {
                0
            }
    }
}

/// Most bytes that the tables of a conversion take.
const CONVERSION_BYTES: u64 = 4 << 20;

/// A JPEG with an end marker. A file without one is passed on with one behind its last pixel, where none is missing.
fn whole_jpeg(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    if jpeg::ends(bytes) {
        return Ok(bytes.into());
    }
    match entropy::end(bytes) {
        Some(end) => Ok([&bytes[..end], &[0xFF, 0xD9]].concat().into()),
        None => Err(Error::Damaged {
            format: Format::Jpeg.name(),
            reason: "it stops in the middle".to_owned(),
        }),
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
